//go:build !tfgen

package bridge

import (
	"embed"
	"path"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
)

// Main serves the provider, with what is in the folder "generated", until the engine closes it.
func Main(info tfbridge.ProviderInfo, generated embed.FS, serve Serve) {
	nameResources(&info)
	info.MetadataInfo = tfbridge.NewProviderMetadata(read(generated, metadataFile))
	serve(info, read(generated, schemaFile))
}

func read(generated embed.FS, name string) []byte {
	content, err := generated.ReadFile(path.Join("generated", name))
	if err != nil {
		panic(err) // the build did not run the generator first
	}
	return content
}
