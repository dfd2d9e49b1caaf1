"""The parts of bench/run: who is measured, what is measured, and how it is told."""
