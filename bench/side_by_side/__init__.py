"""The parts of bench/run: the proxies, the measures and the reports."""
