// Command aws is the upstream AWS provider as a Pulumi plugin that knows some types and no others.
//
// What the released plugin adds to a type is added here as well: tokens, names given by default, JSON documents as
// objects, what is deleted before it is replaced, tags and Regions of the provider's configuration, identities. The
// source of all that is provider/*.go of github.com/pulumi/pulumi-aws; a test compares the schema that comes of it
// with the released SDK.
//
// A type that the program starts to use needs a line in resources.go and, when its service is new, a word in SERVICES
// of sandbox/toolchain/build.py.
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
		P:           pf.MuxShimWithPF(ctx, shimv2.NewProvider(sdk), framework),
		Name:        "aws",
		Version:     version,
		Resources:   resources(),
		DataSources: functions(),
		ExtraTypes:  documents(),
		Config: map[string]*tfbridge.SchemaInfo{
			"region": {Default: &tfbridge.DefaultInfo{EnvVars: []string{"AWS_REGION", "AWS_DEFAULT_REGION"}}},
			// The released plugin leaves it to AWS to say which Regions there are.
			"skip_region_validation":      {Default: &tfbridge.DefaultInfo{Value: true}},
			"skip_credentials_validation": {Default: &tfbridge.DefaultInfo{Value: false}},
			"skip_metadata_api_check":     {Type: "boolean"},
			"access_key":                  {Secret: tfbridge.True()},
			"secret_key":                  {Secret: tfbridge.True()},
			"token":                       {Secret: tfbridge.True()},
		},
		SkipValidateProviderConfigForPluginFramework: true,
		EnableAccurateBridgePreview:                  true,
		EnableRawStateDelta:                          true,
	}
	fillInputs(&info, func(name string) bool { return sdk.ResourcesMap[name] != nil })
	bridge.Main(info, generated, func(info tfbridge.ProviderInfo, schema []byte) {
		pf.MainWithMuxer(ctx, info.Name, info, schema)
	})
}
