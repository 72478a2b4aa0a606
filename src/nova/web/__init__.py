"""HTTP and the socket: routes as data, actors, problems, and the server that speaks them."""
