"""Everything that runs the fleet: the command, the one-machine stack, images and runbooks."""
