"""Hosts: applications of other interfaces as handlers, and what tells the interfaces apart."""
