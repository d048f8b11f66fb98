"""Every method of the comparison by name: the only place where a name becomes a method."""
from nbsp_lib.method import Method
from nbsp_lib.methods.nbsp import NBSP

METHODS = {"sac": Method, "nbsp": NBSP}
