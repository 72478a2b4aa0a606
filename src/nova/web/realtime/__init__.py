"""The socket: the Centrifuge client protocol, server side."""
