"""What the shell completes, a module for each kind, so that little is loaded.

Each function takes the parameters that stand on the command line already, by name, and the word so
far; it returns values that may begin with it, each with a text. It may raise (see
`pilotcli.cli.completion`). Nothing is created or changed, and no class of a config is imported.
"""
