"""data -> checkpoint/: read a log, train towers, keep the best."""
