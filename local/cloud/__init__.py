"""An AWS account on this machine: the emulator ministack, started for the tests and ended with them."""
