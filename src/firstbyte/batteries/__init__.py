"""What most programs need sooner or later, one module each."""
