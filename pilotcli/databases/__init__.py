"""The databases that pilot works with: the target, and the server of the store.

Nothing is imported here, so that the protocols can be had without a database's driver.
"""
