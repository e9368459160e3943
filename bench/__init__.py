"""The benchmark: firstbyte beside its peers, on one machine in one run.

    python -m bench                                  every scenario, every server, three rounds
    python -m bench --scenario hello --server firstbyte --server nginx --seconds 1 --rounds 1
    python -m bench --check                          and whether the targets in `targets` are met

Each server runs alone, pinned with its whole process tree to one core; wrk runs on another. The first figure is the
server's CPU time per request, since it says the same whether the server or the load generator was the limit, and is the
steadiest on a machine that others use too; throughput, p99 latency and memory stand beside it.

The way through it, and where each part is:

    __main__     the options, and the order of things
    scenarios    table: what is asked of a server, and the right answer
    servers      table: who is asked, and with what command line
    targets      table: what firstbyte must reach
    peers        installs what the servers need under bench/build/, or says why it cannot
    measure      starts a server, checks its answers, loads it, reads its CPU and memory
    processes    a child on its core: started, weighed, always ended
    answers      the right answer was given, before any load
    load         wrk
    machine      the machine in general terms, and what others take of it meanwhile
    report       the Markdown
    apps/        the same small application for each interface; epoll_hello.c is the floor: no framework, no Python

A new scenario is an entry in `scenarios` (and a handler in each app that can answer it); a new peer is an entry in
`servers` and a line in requirements.txt.
"""
