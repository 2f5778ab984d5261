package main

import (
	"fmt"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
)

// The types by which a program may write a policy as an object, with the names of their properties in the JSON.

type (
	types      = map[string]schema.ComplexTypeSpec
	properties = map[string]schema.TypeSpec
)

// documents gives the released plugin's types for policies of IAM and for lifecycle policies.
func documents() types {
	text := schema.TypeSpec{Type: "string"}
	number := schema.TypeSpec{Type: "integer"}
	anything := schema.TypeSpec{Type: "object", AdditionalProperties: &schema.TypeSpec{Ref: "pulumi.json#/Any"}}
	texts := schema.TypeSpec{OneOf: []schema.TypeSpec{text, listOf(text)}}
	principal := schema.TypeSpec{OneOf: []schema.TypeSpec{
		text, typeOf("iam", "AWSPrincipal"), typeOf("iam", "ServicePrincipal"), typeOf("iam", "FederatedPrincipal"),
	}}
	policy := object([]string{"Version", "Statement"}, properties{
		"Version":   typeOf("iam", "PolicyDocumentVersion"),
		"Id":        text,
		"Statement": listOf(typeOf("iam", "PolicyStatement")),
	})
	found := types{}
	add := func(module, name string, spec schema.ComplexTypeSpec) {
		found[objectType(module, name).String()] = spec
	}

	for _, module := range []string{"iam", "ecr", "sns"} {
		add(module, "PolicyDocument", policy)
	}
	add("iam", "PolicyDocumentVersion", oneOf("2012-10-17", "2008-10-17"))
	add("iam", "PolicyStatement", object([]string{"Effect"}, properties{
		"Sid":          text,
		"Effect":       typeOf("iam", "PolicyStatementEffect"),
		"Principal":    principal,
		"NotPrincipal": principal,
		"Action":       texts,
		"NotAction":    texts,
		"Resource":     texts,
		"NotResource":  texts,
		"Condition":    anything,
	}))
	add("iam", "PolicyStatementEffect", oneOf("Allow", "Deny"))
	add("iam", "AWSPrincipal", object([]string{"AWS"}, properties{"AWS": texts}))
	add("iam", "ServicePrincipal", object([]string{"Service"}, properties{"Service": texts}))
	add("iam", "FederatedPrincipal", object([]string{"Federated"}, properties{"Federated": texts}))

	add("ecr", "LifecyclePolicyDocument", object([]string{"rules"}, properties{
		"rules": listOf(typeOf("ecr", "LifecyclePolicyRule")),
	}))
	add("ecr", "LifecyclePolicyRule", object([]string{"action", "rulePriority", "selection"}, properties{
		"action":       typeOf("ecr", "LifecyclePolicyAction"),
		"description":  text,
		"rulePriority": number,
		"selection":    typeOf("ecr", "LifecyclePolicySelection"),
	}))
	add("ecr", "LifecyclePolicyAction", object([]string{"type"}, properties{
		"type":               orText(typeOf("ecr", "LifecyclePolicyActionType")),
		"targetStorageClass": text,
	}))
	add("ecr", "LifecyclePolicySelection", object([]string{"countNumber", "countType", "tagStatus"}, properties{
		"countNumber":   number,
		"countType":     orText(typeOf("ecr", "LifecyclePolicyCountType")),
		"countUnit":     text,
		"storageClass":  text,
		"tagPrefixList": listOf(text),
		"tagStatus":     orText(typeOf("ecr", "LifecyclePolicyTagStatus")),
	}))
	add("ecr", "LifecyclePolicyActionType", oneOf("expire", "transition"))
	add("ecr", "LifecyclePolicyCountType",
		oneOf("imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"))
	add("ecr", "LifecyclePolicyTagStatus", oneOf("tagged", "untagged", "any"))
	return found
}

func objectType(module, name string) tokens.Type {
	return tokens.Type(fmt.Sprintf("aws:%s/%s:%s", module, name, name))
}

func typeOf(module, name string) schema.TypeSpec {
	return schema.TypeSpec{Ref: "#/types/" + objectType(module, name).String()}
}

func listOf(item schema.TypeSpec) schema.TypeSpec {
	return schema.TypeSpec{Type: "array", Items: &item}
}

func orText(other schema.TypeSpec) schema.TypeSpec {
	return schema.TypeSpec{OneOf: []schema.TypeSpec{{Type: "string"}, other}}
}

func object(required []string, given properties) schema.ComplexTypeSpec {
	spec := schema.ObjectTypeSpec{Type: "object", Required: required, Properties: map[string]schema.PropertySpec{}}
	for name, each := range given {
		spec.Properties[name] = schema.PropertySpec{TypeSpec: each}
	}
	return schema.ComplexTypeSpec{ObjectTypeSpec: spec}
}

func oneOf(values ...string) schema.ComplexTypeSpec {
	spec := schema.ComplexTypeSpec{ObjectTypeSpec: schema.ObjectTypeSpec{Type: "string"}}
	for _, each := range values {
		spec.Enum = append(spec.Enum, schema.EnumValueSpec{Value: each})
	}
	return spec
}
