package main

import (
	"context"
	"strings"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// fillInputs has every resource take the Region and the default tags of its provider into its inputs, before they are
// checked: upstream does so later, where the engine does not see it.
//
// isSDK says whether a type is of upstream's older kind. Those of the newer kind know default tags themselves.
func fillInputs(info *tfbridge.ProviderInfo, isSDK func(string) bool) {
	for name, each := range info.Resources {
		schema := info.P.ResourcesMap().Get(name).Schema()
		steps := []tfbridge.PreCheckCallback{}
		if region, has := schema.GetOk("region"); has && region.Deprecated() == "" {
			steps = append(steps, fillRegion)
		}
		_, hasTags := schema.GetOk("tags")
		_, hasAll := schema.GetOk("tags_all")
		if hasTags && hasAll && isSDK(name) {
			steps = append(steps, fillTags)
			if each.Fields == nil {
				each.Fields = fields{}
			}
			each.Fields["tags_all"] = &tfbridge.SchemaInfo{
				MarkAsComputedOnly: tfbridge.True(),
				MarkAsOptional:     tfbridge.False(),
			}
		}
		each.PreCheckCallback = func(
			ctx context.Context, inputs, provider resource.PropertyMap,
		) (resource.PropertyMap, error) {
			inputs = inputs.Copy()
			for _, step := range steps {
				var err error
				if inputs, err = step(ctx, inputs, provider); err != nil {
					return nil, err
				}
			}
			return inputs, nil
		}
	}
}

func fillRegion(_ context.Context, inputs, provider resource.PropertyMap) (resource.PropertyMap, error) {
	if given, has := inputs["region"]; has && !given.IsNull() {
		return inputs, nil
	}
	if region, has := provider["region"]; has && !region.IsNull() {
		inputs["region"] = region
	}
	return inputs, nil
}

// fillTags sets tagsAll to the provider's default tags, overlaid with the resource's, without what it is to ignore.
func fillTags(_ context.Context, inputs, provider resource.PropertyMap) (resource.PropertyMap, error) {
	own := inputs["tags"]
	if own.ContainsUnknowns() || resource.NewObjectProperty(provider).ContainsUnknowns() {
		inputs["tagsAll"] = resource.NewOutputProperty(resource.Output{Known: false})
		return inputs, nil
	}
	all := resource.PropertyMap{}
	for _, tags := range []resource.PropertyValue{within(provider, "defaultTags", "tags"), own} {
		if tags.IsObject() {
			for key, value := range tags.ObjectValue() {
				if value.IsString() {
					all[key] = value
				}
			}
		}
	}
	exact, prefixes := texts(within(provider, "ignoreTags", "keys")), texts(within(provider, "ignoreTags", "keyPrefixes"))
	for key := range all {
		if ignored(string(key), exact, prefixes) {
			delete(all, key)
		}
	}
	inputs["tagsAll"] = resource.NewObjectProperty(all)
	return inputs, nil
}

func ignored(key string, exact, prefixes []string) bool {
	for _, each := range exact {
		if key == each {
			return true
		}
	}
	for _, each := range prefixes {
		if strings.HasPrefix(key, each) {
			return true
		}
	}
	return false
}

// within gives a property of a block of the provider's configuration; null where there is none.
func within(provider resource.PropertyMap, block, property resource.PropertyKey) resource.PropertyValue {
	if given, has := provider[block]; has && given.IsObject() {
		return given.ObjectValue()[property]
	}
	return resource.NewNullProperty()
}

func texts(list resource.PropertyValue) []string {
	found := []string{}
	if list.IsArray() {
		for _, each := range list.ArrayValue() {
			if each.IsString() {
				found = append(found, each.StringValue())
			}
		}
	}
	return found
}
