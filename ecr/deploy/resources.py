"""The resources: the only module that registers any in AWS.

Owns how a plan becomes Pulumi resources: one provider an account, at most two resources an image
repository and three a replica, a constant number a registry. An image repository's own policy is one
more, and a push role two, with three variables on GitHub. Reads the plan and decides nothing.
``force_delete`` is false everywhere, and an image repository is protected until it is retired.
"""

import asyncio
import gc
from collections.abc import Iterable, Mapping, Sequence

import pulumi
import pulumi_aws as aws

from ecr.plan.access.push_roles import AUDIENCE, ISSUER, provider_arn
from ecr.plan.alerts import KEY_TAGS
from ecr.plan.model import (
    PUSH_ROLE_PATH,
    AlertPlan,
    CachePlan,
    CreationTemplate,
    EstatePlan,
    ImageRepository,
    PushRole,
    RegistryPlan,
)
from ecr.plan.registry_settings import SCOPE
from ecr.registry.registry import Registry
from ecr.settings.models import RegistrySetting

REGISTRATIONS_A_TURN = 100
"""Image repositories between two turns of the event loop, so that registrations leave as they come;
without these turns the SDK's exit loop grows faster than the number of resources."""


async def declare(
    plan: EstatePlan,
    providers: Mapping[str, aws.Provider],
    github: pulumi.ProviderResource | None = None,
) -> None:
    """Register everything in the plan, with the provider of each account, and that of GitHub.

    A deployment comes back only when everything is made that the ledger names and that AWS has once for a
    name, and not where one is refused: the ledger that is exported next then never knows what the engine's
    state does not hold, and whatever was made all the same is found again.
    """
    # Every registration lives until the program ends, so the collector would only walk through more
    # and more of them: half of a deployment's time, for some megabytes that the process's end frees.
    gc.collect()
    gc.disable()
    made: list[pulumi.CustomResource] = list(declare_registries(plan.registries, providers))
    for alerts in plan.alerts:
        declare_alerts(alerts, providers[alerts.registry.account])
    for index, image_repository in enumerate(plan.image_repositories, 1):
        provider = providers[image_repository.placement.registry.account]
        made.append(declare_image_repository(image_repository, provider))
        if index % REGISTRATIONS_A_TURN == 0:
            await asyncio.sleep(0)
    trusted = [
        declare_identity_provider(each, providers[each.account], found=each in plan.found_providers)
        for each in plan.identity_providers
    ]
    for index, role in enumerate(plan.push_roles, 1):
        declare_push_role(role, providers[role.registry.account], github, trusted)
        if index % REGISTRATIONS_A_TURN == 0:
            await asyncio.sleep(0)
    if not pulumi.runtime.is_dry_run():
        await asyncio.gather(*(each.id.future() for each in made))


def declare_providers(registries: Mapping[Registry, str | None]) -> dict[str, aws.Provider]:
    """Register one AWS provider an account, which refuses to work in any other.

    ``registries`` maps to the role that is assumed. A provider's name is the account id: a provider
    under another name would replace what it made.
    """
    first: dict[str, tuple[Registry, str | None]] = {}
    for registry, role in registries.items():
        first.setdefault(registry.account, (registry, role))
    return {
        account: aws.Provider(
            account,
            region=registry.region,
            allowed_account_ids=[account],
            assume_roles=[aws.ProviderAssumeRoleArgs(role_arn=role, session_name="ecr-estate")]
            if role
            else None,
        )
        for account, (registry, role) in first.items()
    }


def declare_registries(
    registries: Iterable[RegistryPlan], providers: Mapping[str, aws.Provider]
) -> list[pulumi.CustomResource]:
    """Register what is set once for a whole registry, destinations before their sources.

    Returns what AWS refuses to make a second time.
    """
    policies: list[aws.ecr.RegistryPolicy] = []
    named: list[pulumi.CustomResource] = []
    for plan in sorted(registries, key=lambda each: bool(each.replication)):
        key, region = plan.registry.key, plan.registry.region
        provider = providers[plan.registry.account]
        before = []
        own_scope = plan.policy_scope and "accountSettings" not in plan.alone
        if own_scope or "accountSettings" in plan.left:
            before.append(
                aws.ecr.AccountSetting(
                    key,
                    region=region,
                    name=SCOPE,
                    value=plan.policy_scope or "V2",
                    opts=_once(plan, "accountSettings", provider, "value"),
                )
            )
        if plan.own_policy or "policy" in plan.left:
            policies.append(
                aws.ecr.RegistryPolicy(
                    key,
                    region=region,
                    policy=plan.policy or "{}",
                    opts=pulumi.ResourceOptions.merge(
                        _once(plan, "policy", provider, "policy"),
                        pulumi.ResourceOptions(depends_on=before),
                    ),
                )
            )
        named += (_declare_exclusion(plan, each, provider) for each in plan.exclusions)
        named += (_declare_cache(plan, each, provider) for each in plan.caches)
        named += (_declare_template(plan, each, provider) for each in plan.templates)
        if "scanning" not in plan.alone or "scanning" in plan.left:
            _declare_scanning(plan, _once(plan, "scanning", provider, "scanType", "rules"))
        if plan.own_replication or "replication" in plan.left:
            options = _once(plan, "replication", provider, "replicationConfiguration")
            _declare_replication(plan, policies, options)
    return named


def _once(
    plan: RegistryPlan,
    setting: RegistrySetting,
    provider: aws.Provider,
    *properties: str,
) -> pulumi.ResourceOptions:
    """Return the options of what stands once for a registry.

    What the engine's state holds and is left alone is declared as the state has it, and stays when the
    declaration goes: to end it would be a change too.
    """
    left = setting in plan.left
    return pulumi.ResourceOptions(
        provider=provider,
        ignore_changes=list(properties) if left else None,
        retain_on_delete=left or None,
    )


def _declare_exclusion(
    plan: RegistryPlan, principal: str, provider: aws.Provider
) -> aws.ecr.PullTimeUpdateExclusion:
    # An ARN has two colons side by side, by which an engine's name would be read wrongly.
    account, who = principal.split(":", 5)[4:]
    return aws.ecr.PullTimeUpdateExclusion(
        f"{plan.registry.key}/pull-times/{account}/{who}",
        region=plan.registry.region,
        principal_arn=principal,
        opts=pulumi.ResourceOptions(
            provider=provider,
            import_=f"{principal}@{plan.registry.region}"
            if principal in plan.found_exclusions
            else None,
        ),
    )


def _declare_cache(
    plan: RegistryPlan, cache: CachePlan, provider: aws.Provider
) -> aws.ecr.PullThroughCacheRule:
    return aws.ecr.PullThroughCacheRule(
        f"{plan.registry.key}/caches/{cache.prefix}",
        region=plan.registry.region,
        ecr_repository_prefix=cache.prefix,
        upstream_registry_url=cache.upstream,
        upstream_repository_prefix=cache.upstream_prefix,
        credential_arn=cache.credentials,
        custom_role_arn=cache.role,
        opts=pulumi.ResourceOptions(
            provider=provider,
            # A registry has one rule for a prefix: the old must end before the new is made.
            delete_before_replace=True,
            import_=f"{cache.prefix}@{plan.registry.region}"
            if cache.prefix in plan.found_caches
            else None,
        ),
    )


def _declare_template(
    plan: RegistryPlan, template: CreationTemplate, provider: aws.Provider
) -> aws.ecr.RepositoryCreationTemplate:
    return aws.ecr.RepositoryCreationTemplate(
        f"{plan.registry.key}/templates/{template.prefix}",
        region=plan.registry.region,
        prefix=template.prefix,
        applied_fors=list(template.applied_for),
        description=template.description,
        image_tag_mutability=template.mutability,
        image_tag_mutability_exclusion_filters=[
            aws.ecr.RepositoryCreationTemplateImageTagMutabilityExclusionFilterArgs(
                filter=pattern, filter_type="WILDCARD"
            )
            for pattern in template.exclusions
        ]
        or None,
        encryption_configurations=[
            aws.ecr.RepositoryCreationTemplateEncryptionConfigurationArgs(
                encryption_type=template.encryption, kms_key=template.kms_key
            )
        ],
        lifecycle_policy=template.lifecycle,
        repository_policy=template.policy,
        resource_tags=template.tags or None,
        custom_role_arn=template.role,
        opts=pulumi.ResourceOptions(
            provider=provider,
            import_=f"{template.prefix}@{plan.registry.region}"
            if template.prefix in plan.found_templates
            else None,
        ),
    )


def _declare_scanning(plan: RegistryPlan, options: pulumi.ResourceOptions) -> None:
    aws.ecr.RegistryScanningConfiguration(
        plan.registry.key,
        region=plan.registry.region,
        scan_type=plan.scan_type,
        rules=[
            aws.ecr.RegistryScanningConfigurationRuleArgs(
                scan_frequency=frequency,
                repository_filters=[
                    aws.ecr.RegistryScanningConfigurationRuleRepositoryFilterArgs(
                        filter=name, filter_type="WILDCARD"
                    )
                    for name in filters
                ],
            )
            for frequency, filters in plan.scanning_rules()
        ],
        opts=options,
    )


def _declare_replication(
    plan: RegistryPlan, policies: list[aws.ecr.RegistryPolicy], options: pulumi.ResourceOptions
) -> None:
    rule = aws.ecr.ReplicationConfigurationReplicationConfigurationRuleArgs
    destination = aws.ecr.ReplicationConfigurationReplicationConfigurationRuleDestinationArgs
    prefix = aws.ecr.ReplicationConfigurationReplicationConfigurationRuleRepositoryFilterArgs
    aws.ecr.ReplicationConfiguration(
        plan.registry.key,
        region=plan.registry.region,
        replication_configuration=aws.ecr.ReplicationConfigurationReplicationConfigurationArgs(
            rules=[
                rule(
                    destinations=[
                        destination(region=each.region, registry_id=each.account)
                        for each in planned.destinations
                    ],
                    repository_filters=[
                        prefix(filter=each, filter_type="PREFIX_MATCH") for each in planned.prefixes
                    ]
                    or None,
                )
                for planned in plan.replication
            ]
        ),
        opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=policies)),
    )


def declare_alerts(plan: AlertPlan, provider: aws.Provider) -> None:
    """Register the topic of one registry's alerts, its key, whom it tells, and the rules that publish to it."""
    key, region = f"{plan.registry.key}/alerts", plan.registry.region
    options = pulumi.ResourceOptions(provider=provider)
    encryption = aws.kms.Key(
        key,
        region=region,
        description=f"Encrypts {plan.topic}",
        enable_key_rotation=True,
        policy=plan.key_policy,
        tags=KEY_TAGS,
        opts=pulumi.ResourceOptions(
            provider=provider,
            import_=f"{plan.found_key.rpartition('/')[2]}@{region}" if plan.found_key else None,
        ),
    )
    topic = aws.sns.Topic(
        key,
        region=region,
        name=plan.topic,
        kms_master_key_id=encryption.arn,
        opts=pulumi.ResourceOptions(
            provider=provider,
            import_=f"{plan.topic_arn}@{region}" if plan.found_topic else None,
        ),
    )
    policy = aws.sns.TopicPolicy(
        key, region=region, arn=topic.arn, policy=plan.topic_policy, opts=options
    )
    for subscriber in plan.subscribers:
        aws.sns.TopicSubscription(
            f"{key}/{subscriber.name}",
            region=region,
            topic=topic.arn,
            protocol=subscriber.protocol,
            # The path of an address may be all that keeps strangers from writing to a channel.
            endpoint=pulumi.Output.secret(subscriber.endpoint)
            if subscriber.protocol == "https"
            else subscriber.endpoint,
            opts=options,
        )
    for planned in plan.rules:
        rule = aws.cloudwatch.EventRule(
            f"{plan.registry.key}/{planned.name}",
            region=region,
            name=planned.name,
            description=planned.description,
            event_pattern=planned.pattern,
            opts=options,
        )
        aws.cloudwatch.EventTarget(
            f"{plan.registry.key}/{planned.name}",
            region=region,
            rule=rule.name,
            target_id="topic",
            arn=topic.arn,
            input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
                input_paths=planned.paths, input_template=planned.template
            ),
            opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[policy])),
        )


def declare_image_repository(
    image_repository: ImageRepository,
    provider: aws.Provider | None = None,
    *,
    parent: pulumi.Resource | None = None,
) -> aws.ecr.Repository:
    """Register one image repository with its lifecycle policy and, where it has one, its policy.

    The logical name is the location, which never changes: not when GitHub's name does, and not when
    the resource is imported. Without a provider it is the parent's. One that a program had made before it had
    a parent is the same image repository.
    """
    placement = image_repository.placement
    region = placement.registry.region
    repository = aws.ecr.Repository(
        placement.location,
        name=placement.name,
        region=region,
        force_delete=False,
        image_tag_mutability=image_repository.mutability,
        image_tag_mutability_exclusion_filters=[
            aws.ecr.RepositoryImageTagMutabilityExclusionFilterArgs(
                filter=pattern, filter_type="WILDCARD"
            )
            for pattern in image_repository.exclusions
        ]
        or None,
        encryption_configurations=[
            aws.ecr.RepositoryEncryptionConfigurationArgs(
                encryption_type=image_repository.encryption,
                kms_key=image_repository.kms_key,
            )
        ],
        tags=image_repository.tags,
        opts=pulumi.ResourceOptions(
            provider=provider,
            protect=image_repository.protected,
            # What is not in the state but in AWS is taken up rather than made. The provider takes the
            # Region from the id (AWS provider, "Enhanced Region support", importing).
            import_=f"{placement.name}@{region}" if image_repository.found else None,
            # Encryption cannot be changed, only replaced: another key is for new image repositories.
            # Scanning is the registry's; what an adopted one has of its own has no say there.
            ignore_changes=["encryptionConfigurations", "imageScanningConfiguration"],
            parent=parent,
            aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)] if parent else None,
        ),
    )
    # The parent is what orders these behind their image repository; the name itself is known. The
    # provider replaces a lifecycle policy that changes, and as there is one at most, the end of the
    # old one must come first, or it would be the end of the new one. ``lifecycle_trial`` has asked ECR.
    beneath = pulumi.ResourceOptions(parent=repository, protect=False, delete_before_replace=True)
    if image_repository.lifecycle:
        aws.ecr.LifecyclePolicy(
            placement.location,
            repository=placement.name,
            region=region,
            policy=image_repository.lifecycle,
            opts=beneath,
        )
    if image_repository.policy:
        aws.ecr.RepositoryPolicy(
            placement.location,
            repository=placement.name,
            region=region,
            policy=image_repository.policy,
            opts=beneath,
        )
    return repository


def declare_identity_provider(
    registry: Registry, provider: aws.Provider, *, found: bool = False
) -> aws.iam.OpenIdConnectProvider:
    """Register GitHub's identity provider in an account, where it stays when this program leaves it.

    Roles by other hands may have come to trust it.
    """
    return aws.iam.OpenIdConnectProvider(
        f"{registry.account}/github",
        url=f"https://{ISSUER}",
        client_id_lists=[AUDIENCE],
        opts=pulumi.ResourceOptions(
            provider=provider,
            retain_on_delete=True,
            import_=provider_arn(registry) if found else None,
        ),
    )


def declare_push_role(
    planned: PushRole,
    provider: aws.Provider,
    github: pulumi.ProviderResource | None,
    trusted: Sequence[pulumi.Resource],
) -> None:
    """Register the role that pushes a service, behind the identity provider, and its variables."""
    key = f"{planned.registry.account}/{planned.name}"
    role = aws.iam.Role(
        key,
        name=planned.name,
        path=PUSH_ROLE_PATH,
        description=f"Pushes images of {planned.service}",
        assume_role_policy=planned.trust,
        permissions_boundary=planned.boundary,
        opts=pulumi.ResourceOptions(
            provider=provider,
            depends_on=trusted,
            import_=planned.name if planned.stands_at else None,
        ),
    )
    aws.iam.RolePolicy(
        key,
        name="push",
        role=role.name,
        policy=planned.policy,
        opts=pulumi.ResourceOptions(parent=role),
    )
    if not planned.variables:
        return
    from pulumi_github import ActionsVariable  # noqa: PLC0415 - it takes a second, and few need it

    for name, value in sorted(planned.variables.items()):
        held = planned.held.get(name, "")
        ActionsVariable(
            f"{key}/{name}",
            repository=planned.repository,
            variable_name=name,
            value=role.arn if value == planned.arn else value,
            # A renamed repository takes its variables along: the old must end before the new is made.
            # One that is gone or archived takes no call any more: there they end with the role.
            opts=pulumi.ResourceOptions(
                parent=role,
                provider=github,
                delete_before_replace=True,
                deleted_with=role,
                # A role under another name takes its variables over: two cannot have one name.
                aliases=[held] if held and not held.endswith(f"::{key}/{name}") else None,
                import_=f"{planned.repository}:{name}" if name in planned.found else None,
            ),
        )
