// Package bridge is what the two providers share: each is linked twice.
//
// Linked with the tag "tfgen", a provider computes its Pulumi schema and the bridge's metadata, writes both to the
// folder given as its argument, and ends. Linked without, it embeds them and serves as a plugin, and carries none of
// the code that computes schemas.
package bridge

import "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"

// Serve is the bridge's main function for a kind of provider.
type Serve func(info tfbridge.ProviderInfo, schema []byte)

const (
	schemaFile   = "schema.json"
	metadataFile = "bridge-metadata.json"
)

// nameResources has a resource without a name given one as the official plugins give it.
func nameResources(info *tfbridge.ProviderInfo) {
	info.SetAutonaming(255, "-")
}
