"""An engine in a process of its own: `engine` is the front's side, `child` the other one, `wire` lies between."""
