//go:build tfgen

package bridge

import (
	"embed"
	"encoding/json"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/x/muxer"
	"github.com/pulumi/pulumi-terraform-bridge/v3/unstable/metadata"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
)

// muxed is a provider with more than one upstream implementation; a table in the metadata says which one has what.
type muxed interface {
	ResolveDispatch(*tfbridge.ProviderInfo) (muxer.DispatchTable, error)
}

// Main writes what the serving build embeds into the folder os.Args[1].
func Main(info tfbridge.ProviderInfo, _ embed.FS, _ Serve) {
	if err := generate(info, os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func generate(info tfbridge.ProviderInfo, folder string) error {
	nameResources(&info)
	info.MetadataInfo = tfbridge.NewProviderMetadata(nil)
	ignoreUnmapped(&info)
	if provider, ok := info.P.(muxed); ok {
		table, err := provider.ResolveDispatch(&info)
		if err != nil {
			return err
		}
		if err := metadata.Set(info.GetMetadata(), "mux", table); err != nil {
			return err
		}
	}
	generated, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo: info,
		// Its warnings are about upstream documentation, of which a plugin has no use.
		DiagnosticsSink: diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never}),
		XInMemoryDocs:   true,
	})
	if err != nil {
		return err
	}
	schema, err := json.Marshal(generated.PackageSpec)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, schemaFile), schema, 0o644); err != nil {
		return err
	}
	computed := (*metadata.Data)(info.GetMetadata()).Marshal()
	return os.WriteFile(filepath.Join(folder, metadataFile), computed, 0o644)
}

// ignoreUnmapped says of every upstream type without a token that it is left out on purpose.
func ignoreUnmapped(info *tfbridge.ProviderInfo) {
	info.P.ResourcesMap().Range(func(name string, _ shim.Resource) bool {
		if info.Resources[name] == nil {
			info.IgnoreMappings = append(info.IgnoreMappings, name)
		}
		return true
	})
	info.P.DataSourcesMap().Range(func(name string, _ shim.Resource) bool {
		if info.DataSources[name] == nil {
			info.IgnoreMappings = append(info.IgnoreMappings, name)
		}
		return true
	})
}
