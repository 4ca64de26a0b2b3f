"""What doing each kind of step is: one function for each action of a plan."""
