// Command confluentgo asks a schema registry all that Confluent's client for Go can: confluentgo URL. It is a module of
// its own, because the client is no dependency of the hub.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry/rest"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

// checks collects what is not as it should be.
type checks struct{ errs []error }

func (c *checks) equal(what string, got, want any, err error) {
	if err != nil || !reflect.DeepEqual(got, want) {
		c.errs = append(c.errs, fmt.Errorf("%s: got %+v (%w), want %+v", what, got, err, want))
	}
}

func (c *checks) refused(what string, err error, code int) {
	var e *rest.Error
	if !errors.As(err, &e) || e.Code != code {
		c.errs = append(c.errs, fmt.Errorf("%s: %w, want error code %d", what, err, code))
	}
}

const (
	user    = `{"type":"record","name":"User","fields":[{"name":"id","type":"long"}]}`
	userTwo = `{"type":"record","name":"User","fields":[{"name":"id","type":"long"},{"name":"name","type":"string","default":""}]}`
	userBad = `{"type":"record","name":"User","fields":[{"name":"must","type":"long"}]}`
)

func run(url string) error {
	client, err := schemaregistry.NewClient(schemaregistry.NewConfig(url))
	if err != nil {
		return err
	}
	defer client.Close()
	var c checks
	c.schemas(client)
	c.others(client)
	c.settings(client)
	c.deletes(client)
	return errors.Join(c.errs...)
}

func (c *checks) schemas(client schemaregistry.Client) {
	first, second := schemaregistry.SchemaInfo{Schema: user}, schemaregistry.SchemaInfo{Schema: userTwo}
	id, err := client.Register("users-value", first, false)
	c.equal("register", id, 1, err)
	full, err := client.RegisterFullResponse("users-value", second, true)
	c.equal("register, full", []any{full.ID, full.Version}, []any{2, 2}, err)
	c.equal("clear", nil, nil, client.ClearCaches())
	_, err = client.Register("users-value", schemaregistry.SchemaInfo{Schema: userBad}, false)
	c.refused("register what is incompatible", err, 409)
	_, err = client.Register("users-value", schemaregistry.SchemaInfo{Schema: "nonsense"}, false)
	c.refused("register nonsense", err, 42201)

	info, err := client.GetBySubjectAndID("users-value", 2)
	c.equal("by id", info.Schema, userTwo, err)
	_, err = client.GetBySubjectAndID("", 4711)
	c.refused("by unknown id", err, 40403)
	byGUID, err := client.GetByGUID(full.GUID)
	c.equal("by guid", byGUID.Schema, userTwo, err)
	pairs, err := client.GetSubjectsAndVersionsByID(1)
	c.equal("versions of an id", pairs, []schemaregistry.SubjectAndVersion{{Subject: "users-value", Version: 1}}, err)
	found, err := client.GetID("users-value", first, false)
	c.equal("id", found, 1, err)
	whole, err := client.GetIDFullResponse("users-value", second, false)
	c.equal("id, full", []any{whole.ID, whole.Version, whole.GUID}, []any{2, 2, full.GUID}, err)
	version, err := client.GetVersion("users-value", second, true)
	c.equal("version", version, 2, err)
	latest, err := client.GetLatestSchemaMetadata("users-value")
	c.equal("latest", []any{latest.ID, latest.Version, latest.Subject, latest.Schema}, []any{2, 2, "users-value", userTwo}, err)
	one, err := client.GetSchemaMetadata("users-value", 1)
	c.equal("version 1", one.Schema, user, err)
	_, err = client.GetSchemaMetadata("users-value", 9)
	c.refused("version 9", err, 40402)
	_, err = client.GetLatestSchemaMetadata("nobody")
	c.refused("latest of nobody", err, 40401)
	numbers, err := client.GetAllVersions("users-value")
	c.equal("versions", numbers, []int{1, 2}, err)

	fits, err := client.TestSubjectCompatibility("users-value", schemaregistry.SchemaInfo{Schema: userBad})
	c.equal("fits all", fits, false, err)
	fits, err = client.TestCompatibility("users-value", 1, second)
	c.equal("fits one", fits, true, err)
}

// others are references, metadata, rules, other languages and contexts.
func (c *checks) others(client schemaregistry.Client) {
	list := schemaregistry.SchemaInfo{Schema: `{"type":"array","items":"User"}`,
		References: []schemaregistry.Reference{{Name: "User", Subject: "users-value", Version: 2}}}
	id, err := client.Register("lists/a b", list, false)
	c.equal("with a reference", id, 3, err)
	got, err := client.GetBySubjectAndID("lists/a b", 3)
	c.equal("reference", got.References, list.References, err)

	owned := schemaregistry.SchemaInfo{Schema: `"string"`, Metadata: &schemaregistry.Metadata{Tags: map[string][]string{"a": {"PII"}},
		Properties: map[string]string{"owner": "shop"}, Sensitive: []string{"x"}}, RuleSet: &schemaregistry.RuleSet{DomainRules: []schemaregistry.Rule{
		{Name: "encrypt", Kind: "TRANSFORM", Mode: "WRITEREAD", Type: "ENCRYPT", Tags: []string{"PII"}, Params: map[string]string{"k": "v"}}}}}
	_, err = client.Register("owned", owned, false)
	c.equal("with metadata", nil, nil, err)
	by, err := client.GetLatestWithMetadata("owned", map[string]string{"owner": "shop"}, false)
	c.equal("by metadata", []any{by.Version, by.Metadata, by.RuleSet}, []any{1, owned.Metadata, owned.RuleSet}, err)

	_, err = client.Register("j", schemaregistry.SchemaInfo{Schema: `{"type":"object"}`, SchemaType: "JSON"}, false)
	c.equal("JSON", nil, nil, err)
	_, err = client.Register("p", schemaregistry.SchemaInfo{Schema: `syntax = "proto3"; message M { int32 a = 1; }`, SchemaType: "PROTOBUF"}, false)
	c.equal("Protobuf", nil, nil, err)
	_, err = client.Register(":.other:s", schemaregistry.SchemaInfo{Schema: `"int"`}, false)
	c.equal("in a context", nil, nil, err)
	contexts, err := client.GetAllContexts()
	c.equal("contexts", contexts, []string{".", ".other"}, err)
	subjects, err := client.GetAllSubjects()
	c.equal("subjects", subjects, []string{":.other:s", "j", "lists/a b", "owned", "p", "users-value"}, err)
}

func (c *checks) settings(client schemaregistry.Client) {
	level, err := client.GetDefaultCompatibility()
	c.equal("default level", level.String(), "BACKWARD", err)
	level, err = client.UpdateDefaultCompatibility(schemaregistry.Full)
	c.equal("set default level", level.String(), "FULL", err)
	_, err = client.GetCompatibility("users-value")
	c.refused("level that is not set", err, 40408)
	level, err = client.UpdateCompatibility("users-value", schemaregistry.ForwardTransitive)
	c.equal("set level", level.String(), "FORWARD_TRANSITIVE", err)
	level, err = client.GetCompatibility("users-value")
	c.equal("level", level.String(), "FORWARD_TRANSITIVE", err)
	config, err := client.UpdateConfig("users-value", schemaregistry.ServerConfig{Alias: "owned", Normalize: true, CompatibilityGroup: "g"})
	c.equal("set configuration", []any{config.Alias, config.Normalize, config.CompatibilityGroup}, []any{"owned", true, "g"}, err)
	config, err = client.GetConfig("users-value", false)
	c.equal("configuration", []any{config.Alias, config.CompatibilityLevel.String()}, []any{"owned", "FORWARD_TRANSITIVE"}, err)
	config, err = client.GetConfig("p", true)
	c.equal("configuration by default", config.CompatibilityLevel.String(), "FULL", err)
	config, err = client.UpdateDefaultConfig(schemaregistry.ServerConfig{CompatibilityUpdate: schemaregistry.None})
	c.equal("set default configuration", config.CompatibilityUpdate.String(), "NONE", err)
	config, err = client.GetDefaultConfig()
	c.equal("default configuration", config.CompatibilityLevel.String(), "NONE", err)
}

func (c *checks) deletes(client schemaregistry.Client) {
	_, err := client.DeleteSubject("p", true)
	c.refused("delete for good first", err, 40405)
	numbers, err := client.DeleteSubject("p", false)
	c.equal("delete", numbers, []int{1}, err)
	deleted, err := client.GetSchemaMetadataIncludeDeleted("p", 1, true)
	c.equal("deleted", deleted.Version, 1, err)
	_, err = client.GetLatestSchemaMetadata("p")
	c.refused("deleted, latest", err, 40401)
	numbers, err = client.DeleteSubject("p", true)
	c.equal("delete for good", numbers, []int{1}, err)
	number, err := client.DeleteSubjectVersion("j", 1, false)
	c.equal("delete a version", number, 1, err)
	version, err := client.GetVersionIncludeDeleted("j", schemaregistry.SchemaInfo{Schema: `{"type":"object"}`, SchemaType: "JSON"}, false, true)
	c.equal("deleted version", version, 1, err)
	_, err = client.DeleteSubjectVersion("users-value", 2, false) // an alias by now
	c.refused("version that the alias has not", err, 40402)
}
