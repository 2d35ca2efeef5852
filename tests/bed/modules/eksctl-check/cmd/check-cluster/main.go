// Command check-cluster asks eksctl's own code what it says of files with a ClusterConfig, before
// AWS is asked anything: unknown keys, and what does not go together. It prints the first mistake of
// each file and ends with 1 where there is one.
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"sigs.k8s.io/yaml"
)

func main() {
	code := 0
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Printf("%s: %v\n", path, err)
			code = 1
		}
	}
	os.Exit(code)
}

// check does what `eksctl create cluster` does with a file, in the same order: it needs all that
// eksctl does between reading the file and its first call to AWS.
func check(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config := &api.ClusterConfig{}
	if err := yaml.UnmarshalStrict(text, config); err != nil {
		return err
	}
	if config.Metadata == nil || config.Metadata.Name == "" || config.VPC == nil {
		return errors.New("metadata.name and vpc must be set")
	}
	if !slices.Contains(api.SupportedRegions(), config.Metadata.Region) {
		return fmt.Errorf("metadata.region %q is not one that eksctl knows", config.Metadata.Region)
	}
	api.SetClusterEndpointAccessDefaults(config.VPC)
	for _, addon := range config.Addons {
		if err := addon.Validate(); err != nil {
			return err
		}
	}
	api.SetClusterConfigDefaults(config)
	if err := api.ValidateClusterConfig(config); err != nil {
		return err
	}
	for number, group := range config.ManagedNodeGroups {
		if err := api.SetManagedNodeGroupDefaults(group, config.Metadata, false); err != nil {
			return err
		}
		if err := api.ValidateManagedNodeGroup(number, group); err != nil {
			return err
		}
	}
	return config.ValidateVPCConfig()
}
