"""The engine's type tokens of what a deployment makes. Owns them; reads nothing."""

REPOSITORY = "aws:ecr/repository:Repository"
PROVIDER = "pulumi:providers:aws"
ROLE = "aws:iam/role:Role"
REGISTRY_POLICY = "aws:ecr/registryPolicy:RegistryPolicy"
REPLICATION_CONFIGURATION = "aws:ecr/replicationConfiguration:ReplicationConfiguration"
SCANNING = "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration"
ACCOUNT_SETTING = "aws:ecr/accountSetting:AccountSetting"
CREATION_TEMPLATE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
PULL_TIME_EXCLUSION = "aws:ecr/pullTimeUpdateExclusion:PullTimeUpdateExclusion"
CACHE_RULE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
IDENTITY_PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ALERT_KEY = "aws:kms/key:Key"
ALERT_TOPIC = "aws:sns/topic:Topic"
ALERT_RULE = "aws:cloudwatch/eventRule:EventRule"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
STACK = "pulumi:pulumi:Stack"
VARIABLE = "github:index/actionsVariable:ActionsVariable"

TYPE_WORDS = {
    REPOSITORY: "image repository",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "lifecycle policy of",
    "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy of",
    REGISTRY_POLICY: "registry policy of",
    REPLICATION_CONFIGURATION: "replication of",
    SCANNING: "scanning of",
    ACCOUNT_SETTING: "registry policy scope of",
    CREATION_TEMPLATE: "creation template",
    PULL_TIME_EXCLUSION: "exclusion from pull times",
    CACHE_RULE: "cache rule",
    ROLE: "push role",
    "aws:iam/rolePolicy:RolePolicy": "policy of the push role",
    IDENTITY_PROVIDER: "identity provider",
    SUBSCRIPTION: "subscription",
    VARIABLE: "variable on GitHub",
}
"""What the resources of each type are called in front of their names."""
