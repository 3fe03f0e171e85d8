"""OCPP-J 1.6 without I/O: text in, events and text out.

Nothing here opens a socket, starts a task or reads a clock, so the whole protocol can be tested by
calling functions. Source of the rules: *OCPP JSON 1.6 specification*, section 4.
"""
