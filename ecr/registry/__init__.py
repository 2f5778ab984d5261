"""What a registry is: the ECR of one account and Region, its partition and its hosts."""
