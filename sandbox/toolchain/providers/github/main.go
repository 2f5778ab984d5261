// Command github is the upstream GitHub provider as a Pulumi plugin, with the tokens of the pulumi-github SDK.
package main

import (
	"embed"

	"github.com/integrations/terraform-provider-github/v6/github"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"

	"ecr-estate/sandbox/toolchain/providers/bridge"
)

//go:embed generated
var generated embed.FS

var version string // set by the linker

func main() {
	info := tfbridge.ProviderInfo{
		P:       shimv2.NewProvider(github.NewProvider(version, "")()),
		Name:    "github",
		Version: version,
	}
	info.MustComputeTokens(tokens.SingleModule("github_", "index", tokens.MakeStandard(info.Name)))
	bridge.Main(info, generated, func(info tfbridge.ProviderInfo, schema []byte) {
		tfbridge.Main(info.Name, info.Version, info, schema)
	})
}
