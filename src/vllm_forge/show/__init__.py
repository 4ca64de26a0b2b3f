"""The screen: pure functions of state, time and width."""
