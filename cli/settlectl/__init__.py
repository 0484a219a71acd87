"""settlectl: the operator's command line.

Each command is a function that can be imported (`settlectl.apps.create_app`, `settlectl.listening.receiving`) and,
beside it, the few lines that make a command of it. Everything works on a `settlectl.deployment.Deployment`.
"""
