"""An estate of Amazon ECR image repositories that follows a GitHub organisation.

One module a step: settings, inventory, ledger, plan, resources. ``__main__.py`` reads as their
order; the decisions behind them are in docs/decisions.
"""

__version__ = "0.2.0"
