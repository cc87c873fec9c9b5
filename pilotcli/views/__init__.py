"""Views: what people and programs see of a run.

A view is a callable that receives the signals of `pilotcli.common.signals`, and a context manager
that shows a summary when it is left. This package is the only place of pilot that writes to the
terminal and the only one that imports rich.
"""
