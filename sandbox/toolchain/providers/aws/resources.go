package main

import (
	"context"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

type fields = map[string]*tfbridge.SchemaInfo

// resources gives every resource type with its token and what the released plugin adds to it.
func resources() map[string]*tfbridge.ResourceInfo {
	return map[string]*tfbridge.ResourceInfo{
		"aws_cloudwatch_event_rule": with(typed("cloudwatch", "EventRule"), fields{
			"name": tfbridge.AutoName("name", 64, "-"),
		}),
		"aws_cloudwatch_event_target": with(typed("cloudwatch", "EventTarget"), fields{
			"target_id": tfbridge.AutoName("targetId", 255, "-"),
		}),
		"aws_ecr_account_setting": identified(typed("ecr", "AccountSetting"), "name"),
		"aws_ecr_lifecycle_policy": deletedFirst(with(typed("ecr", "LifecyclePolicy"), fields{
			"policy": document("ecr", "LifecyclePolicyDocument"),
		})),
		"aws_ecr_pull_through_cache_rule":    typed("ecr", "PullThroughCacheRule"),
		"aws_ecr_pull_time_update_exclusion": identified(typed("ecr", "PullTimeUpdateExclusion"), "principalArn"),
		"aws_ecr_registry_policy": with(typed("ecr", "RegistryPolicy"), fields{
			"policy": document("ecr", "PolicyDocument"),
		}),
		"aws_ecr_registry_scanning_configuration": typed("ecr", "RegistryScanningConfiguration"),
		"aws_ecr_replication_configuration":       typed("ecr", "ReplicationConfiguration"),
		"aws_ecr_repository":                      typed("ecr", "Repository"),
		"aws_ecr_repository_creation_template":    typed("ecr", "RepositoryCreationTemplate"),
		"aws_ecr_repository_policy": with(typed("ecr", "RepositoryPolicy"), fields{
			"policy": document("ecr", "PolicyDocument"),
		}),
		"aws_iam_openid_connect_provider": typed("iam", "OpenIdConnectProvider"),
		"aws_iam_policy": with(typed("iam", "Policy"), fields{
			"policy": document("iam", "PolicyDocument"),
		}),
		"aws_iam_role": with(typed("iam", "Role"), fields{
			"name":               tfbridge.AutoName("name", 64, "-"),
			"assume_role_policy": document("iam", "PolicyDocument"),
			"inline_policy": {
				Transform: withoutEmptyPolicies,
				Elem:      &tfbridge.SchemaInfo{Fields: fields{"name": tfbridge.AutoName("name", 128, "-")}},
			},
		}),
		"aws_iam_role_policy": with(typed("iam", "RolePolicy"), fields{
			"role":   reference("iam", "Role"),
			"policy": document("iam", "PolicyDocument"),
		}),
		// To attach the new before the old is detached would be one attachment, which is then gone.
		"aws_iam_role_policy_attachment": deletedFirst(with(typed("iam", "RolePolicyAttachment"), fields{
			"role":       reference("iam", "Role"),
			"policy_arn": {Name: "policyArn"},
		})),
		"aws_iam_service_linked_role": typed("iam", "ServiceLinkedRole"),
		"aws_kms_alias": with(typed("kms", "Alias"), fields{
			"name": named(238, func(_ *tfbridge.PulumiResource, name string) (string, error) {
				return "alias/" + strings.TrimPrefix(name, "alias/"), nil
			}),
		}),
		"aws_kms_key":         typed("kms", "Key"),
		"aws_kms_replica_key": typed("kms", "ReplicaKey"),
		"aws_sns_topic": with(typed("sns", "Topic"), fields{
			"name": named(80, func(topic *tfbridge.PulumiResource, name string) (string, error) {
				if fifo, has := topic.Properties["fifoTopic"]; has && fifo.IsBool() && fifo.BoolValue() {
					return name + ".fifo", nil
				}
				return name, nil
			}),
		}),
		"aws_sns_topic_policy": with(typed("sns", "TopicPolicy"), fields{
			"policy": document("sns", "PolicyDocument"),
		}),
		"aws_sns_topic_subscription": with(typed("sns", "TopicSubscription"), fields{
			"topic_arn": {Name: "topic", Type: "string", AltTypes: []tokens.Type{resourceType("sns", "Topic")}},
		}),
	}
}

// functions gives every data source with its token.
func functions() map[string]*tfbridge.DataSourceInfo {
	return map[string]*tfbridge.DataSourceInfo{
		"aws_caller_identity":                  function("index", "getCallerIdentity"),
		"aws_ecr_authorization_token":          function("ecr", "getAuthorizationToken"),
		"aws_ecr_image":                        function("ecr", "getImage"),
		"aws_ecr_images":                       function("ecr", "getImages"),
		"aws_ecr_lifecycle_policy_document":    function("ecr", "getLifecyclePolicyDocument"),
		"aws_ecr_pull_through_cache_rule":      function("ecr", "getPullThroughCacheRule"),
		"aws_ecr_repositories":                 function("ecr", "getRepositories"),
		"aws_ecr_repository":                   function("ecr", "getRepository"),
		"aws_ecr_repository_creation_template": function("ecr", "getRepositoryCreationTemplate"),
		"aws_iam_policy_document":              function("iam", "getPolicyDocument"),
	}
}

func typed(module, name string) *tfbridge.ResourceInfo {
	return &tfbridge.ResourceInfo{Tok: resourceType(module, name)}
}

func resourceType(module, name string) tokens.Type {
	return tfbridge.MakeResource("aws", module, name)
}

func function(module, name string) *tfbridge.DataSourceInfo {
	return &tfbridge.DataSourceInfo{Tok: tfbridge.MakeDataSource("aws", module, name)}
}

func with(info *tfbridge.ResourceInfo, properties fields) *tfbridge.ResourceInfo {
	info.Fields = properties
	return info
}

func deletedFirst(info *tfbridge.ResourceInfo) *tfbridge.ResourceInfo {
	info.DeleteBeforeReplace = true
	return info
}

// identified is for a type that upstream has without an id: one of its properties is it.
func identified(info *tfbridge.ResourceInfo, property resource.PropertyKey) *tfbridge.ResourceInfo {
	info.ComputeID = func(_ context.Context, state resource.PropertyMap) (resource.ID, error) {
		return resource.ID(state[property].StringValue()), nil
	}
	return info
}

// document is a JSON document, which may be given as text or as an object.
func document(module, name string) *tfbridge.SchemaInfo {
	return &tfbridge.SchemaInfo{
		Type:      "string",
		AltTypes:  []tokens.Type{objectType(module, name)},
		Transform: tfbridge.TransformJSONDocument,
	}
}

func reference(module, name string) *tfbridge.SchemaInfo {
	return &tfbridge.SchemaInfo{Type: "string", AltTypes: []tokens.Type{resourceType(module, name)}}
}

// named is a property that, where the program leaves it out, is the resource's own name and seven digits.
func named(longest int, finish func(*tfbridge.PulumiResource, string) (string, error)) *tfbridge.SchemaInfo {
	return tfbridge.AutoNameWithCustomOptions("name", tfbridge.AutoNameOptions{
		Separator:     "-",
		Maxlen:        longest,
		Randlen:       7,
		PostTransform: finish,
	})
}

// withoutEmptyPolicies leaves out inline policies whose document is empty: they would show as a change for ever. One
// without any document stays, as it asks for the removal of all.
func withoutEmptyPolicies(value resource.PropertyValue) (resource.PropertyValue, error) {
	if !value.IsArray() {
		return value, nil
	}
	kept := []resource.PropertyValue{}
	for _, each := range value.ArrayValue() {
		if !each.IsObject() {
			continue
		}
		policy, has := each.ObjectValue()["policy"]
		if !has || policy.IsNull() || policy.IsString() && policy.StringValue() != "" {
			kept = append(kept, each)
		}
	}
	return resource.NewArrayProperty(kept), nil
}
