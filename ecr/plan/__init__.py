"""The plan: from settings, inventory and ledger to everything that will exist. It imports neither pulumi nor boto3."""
