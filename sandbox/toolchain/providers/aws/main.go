// Command aws is the upstream AWS provider as a Pulumi plugin that knows the types below and no others.
//
// The tokens are those of the pulumi-aws SDK. A type that the program starts to use needs a line here and, when its
// service is new, a word in SERVICES of sandbox/toolchain/build.py.
package main

import (
	"context"
	"embed"

	"github.com/hashicorp/terraform-provider-aws/xpprovider"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"

	"ecr-estate/sandbox/toolchain/providers/bridge"
)

//go:embed generated
var generated embed.FS

var version string // set by the linker

func main() {
	ctx := context.Background()
	framework, sdk, err := xpprovider.GetProvider(ctx)
	if err != nil {
		panic(err)
	}
	info := tfbridge.ProviderInfo{
		P:       pf.MuxShimWithPF(ctx, shimv2.NewProvider(sdk), framework),
		Name:    "aws",
		Version: version,
		Resources: map[string]*tfbridge.ResourceInfo{
			"aws_cloudwatch_event_rule":               resource("cloudwatch", "EventRule"),
			"aws_cloudwatch_event_target":             resource("cloudwatch", "EventTarget"),
			"aws_ecr_account_setting":                 resource("ecr", "AccountSetting"),
			"aws_ecr_lifecycle_policy":                resource("ecr", "LifecyclePolicy"),
			"aws_ecr_pull_through_cache_rule":         resource("ecr", "PullThroughCacheRule"),
			"aws_ecr_registry_policy":                 resource("ecr", "RegistryPolicy"),
			"aws_ecr_registry_scanning_configuration": resource("ecr", "RegistryScanningConfiguration"),
			"aws_ecr_replication_configuration":       resource("ecr", "ReplicationConfiguration"),
			"aws_ecr_repository":                      resource("ecr", "Repository"),
			"aws_ecr_repository_creation_template":    resource("ecr", "RepositoryCreationTemplate"),
			"aws_ecr_repository_policy":               resource("ecr", "RepositoryPolicy"),
			"aws_iam_openid_connect_provider":         resource("iam", "OpenIdConnectProvider"),
			"aws_iam_role":                            resource("iam", "Role"),
			"aws_iam_role_policy":                     resource("iam", "RolePolicy"),
			"aws_kms_alias":                           resource("kms", "Alias"),
			"aws_kms_key":                             resource("kms", "Key"),
			"aws_sns_topic":                           resource("sns", "Topic"),
			"aws_sns_topic_policy":                    resource("sns", "TopicPolicy"),
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"aws_caller_identity":     function("index", "getCallerIdentity"),
			"aws_ecr_image":           function("ecr", "getImage"),
			"aws_ecr_images":          function("ecr", "getImages"),
			"aws_ecr_repositories":    function("ecr", "getRepositories"),
			"aws_ecr_repository":      function("ecr", "getRepository"),
			"aws_iam_policy_document": function("iam", "getPolicyDocument"),
		},
	}
	bridge.Main(info, generated, func(info tfbridge.ProviderInfo, schema []byte) {
		pf.MainWithMuxer(ctx, info.Name, info, schema)
	})
}

func resource(module, name string) *tfbridge.ResourceInfo {
	return &tfbridge.ResourceInfo{Tok: tfbridge.MakeResource("aws", module, name)}
}

func function(module, name string) *tfbridge.DataSourceInfo {
	return &tfbridge.DataSourceInfo{Tok: tfbridge.MakeDataSource("aws", module, name)}
}
