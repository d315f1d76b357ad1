"""Who is told what: the person at every address, and administrators when it is grave."""
