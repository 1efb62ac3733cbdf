"""The parts of scripts/doctor.

host reads files, nics and facts give them a meaning, checks finds what is wrong, advice says how to start the program,
errors explains messages of DPDK, report writes all of it.
"""
