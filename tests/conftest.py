"""What holds for all tests: no test is judged by the time that it takes (`make bench` measures)."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
