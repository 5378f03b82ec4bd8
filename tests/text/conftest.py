"""How Hypothesis runs here: how long an example takes on a busy machine says nothing of a law."""

from hypothesis import HealthCheck, settings

settings.register_profile("laws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")
