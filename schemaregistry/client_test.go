package schemaregistry

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"
)

// is reports whether the client takes the answer for that error.
func is(err error, want *sr.Error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.SchemaError() == want
}

// franz-go's client is what Redpanda's tools, Console and our own hub use.
func TestFranzClient(t *testing.T) {
	c, err := sr.NewClient(sr.URLs(serve(t, open(t, newKafka(t)))))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	types, err := c.SupportedTypes(ctx)
	must(err)
	if len(types) != 3 {
		t.Error(types)
	}
	created, err := c.CreateSchema(ctx, "s/1", sr.Schema{Schema: textA})
	must(err)
	if created.ID != 1 || created.Version != 1 || created.Subject != "s/1" || created.Schema.Schema != textA {
		t.Errorf("%+v", created)
	}
	_, err = c.CreateSchema(ctx, "s/1", sr.Schema{Schema: `"int"`})
	if !is(err, sr.ErrIncompatibleSchema) {
		t.Error(err)
	}
	check, err := c.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), "s/1", -1, sr.Schema{Schema: `"int"`})
	must(err)
	if check.Is || len(check.Messages) == 0 {
		t.Errorf("%+v", check)
	}
	_, err = c.CreateSchema(ctx, "s/1", sr.Schema{Schema: textABD})
	must(err)
	all, err := c.Schemas(ctx, "s/1")
	must(err)
	if len(all) != 2 {
		t.Error(all)
	}
	found, err := c.LookupSchema(ctx, "s/1", sr.Schema{Schema: textABD})
	must(err)
	if found.Version != 2 {
		t.Errorf("%+v", found)
	}
	text, err := c.SchemaTextByID(ctx, 1)
	must(err)
	latest, err := c.SchemaTextByVersion(ctx, "s/1", -1)
	must(err)
	if text != textA || latest != textABD {
		t.Error(text, latest)
	}
	for _, r := range c.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFull}, sr.GlobalSubject, "s/1") {
		must(r.Err)
	}
	for _, r := range c.Compatibility(ctx, sr.GlobalSubject, "s/1") {
		if r.Err != nil || r.Level != sr.CompatFull {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range c.ResetCompatibility(ctx, "s/1") {
		must(r.Err)
	}
	for _, r := range c.Compatibility(ctx, "s/1") {
		if !is(r.Err, sr.ErrSubjectLevelCompatibilityNotConfigured) {
			t.Errorf("%+v", r)
		}
	}
	for _, r := range c.SetMode(ctx, sr.ModeReadOnly, "s/1") {
		must(r.Err)
	}
	if _, err := c.DeleteSubject(ctx, "s/1", sr.SoftDelete); !is(err, sr.ErrOperationNotPermitted) {
		t.Error(err)
	}
	for _, r := range c.ResetMode(ctx, "s/1") {
		must(r.Err)
	}
	must(c.DeleteSchema(ctx, "s/1", 1, sr.SoftDelete))
	must(c.DeleteSchema(ctx, "s/1", 1, sr.HardDelete))
	_, err = c.DeleteSubject(ctx, "s/1", sr.SoftDelete)
	must(err)
	versions, err := c.DeleteSubject(ctx, "s/1", sr.HardDelete)
	must(err)
	if len(versions) != 1 {
		t.Error(versions)
	}
	if _, err := c.SchemaByID(ctx, 2); !is(err, sr.ErrSchemaNotFound) {
		t.Error(err)
	}
	names, err := c.Subjects(ctx)
	must(err)
	if len(names) != 0 {
		t.Error(names)
	}
}

// The calls that TestFranzClient does not make: ids, guids, references, contexts, imports.
func TestRestOfFranzClient(t *testing.T) {
	r := open(t, newKafka(t), func(o *Options) { o.Extended = true })
	c, err := sr.NewClient(sr.URLs(serve(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	check := func(what string, got, want any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
	}
	fixed, err := c.CreateSchema(ctx, "f", sr.Schema{Schema: `{"type":"fixed","name":"F","size":1}`,
		SchemaMetadata: &sr.SchemaMetadata{Properties: map[string]string{"owner": "shop"}}})
	check("create", fixed.ID, 1, err)
	list := sr.Schema{Schema: `{"type":"array","items":"F"}`, References: []sr.SchemaReference{{Name: "F", Subject: "f", Version: 1}}}
	id, err := c.RegisterSchema(ctx, "list", list, -1, -1)
	check("register", id, 2, err)
	check("again", fixed.SchemaMetadata.Properties["owner"], "shop", nil)

	s, err := c.SchemaByID(ctx, 2)
	check("by id", s.References, list.References, err)
	text, err := c.SchemaTextByID(sr.WithParams(ctx, sr.Format("resolved")), 2)
	check("resolved", text, `{"type":"array","items":{"type":"fixed","name":"F","size":1}}`, err)
	byGUID, err := c.SchemaByGUID(ctx, fixed.GUID)
	check("by guid", byGUID.Schema.Schema, fixed.Schema.Schema, err)
	ids, err := c.SchemaIDsByGUID(ctx, fixed.GUID)
	check("ids by guid", ids, []sr.ContextID{{Context: ".", ID: 1}}, err)
	subjects, err := c.SubjectsByID(ctx, 2)
	check("subjects by id", subjects, []string{"list"}, err)
	versions, err := c.SchemaVersionsByID(ctx, 2)
	check("versions by id", versions, []sr.SubjectVersion{{Subject: "list", Version: 1}}, err)
	numbers, err := c.SubjectVersions(ctx, "list")
	check("versions", numbers, []int{1}, err)
	one, err := c.SchemaByVersion(ctx, "list", -1)
	check("latest", one.ID, 2, err)
	all, err := c.AllSchemas(sr.WithParams(ctx, sr.LatestOnly, sr.SubjectPrefix("l")))
	check("all", len(all), 1, err)
	references, err := c.SchemaReferences(ctx, "f", 1)
	if err != nil || len(references) != 1 || references[0].Subject != "list" {
		t.Error(references, err)
	}
	usages, err := c.SchemaUsagesByID(ctx, 1)
	if err != nil || len(usages) != 1 || usages[0].Subject != "f" {
		t.Error(usages, err)
	}
	if err := c.DeleteSchema(ctx, "f", 1, sr.SoftDelete); err == nil {
		t.Error("what is referred to was deleted")
	}

	other := sr.InContext(ctx, ".other")
	for _, m := range c.SetMode(sr.WithParams(other, sr.Force), sr.ModeImport, "imported") {
		check("set mode", m.Mode, sr.ModeImport, m.Err)
	}
	imported, err := c.CreateSchemaWithIDAndVersion(other, "imported", sr.Schema{Schema: `"int"`}, 77, 5)
	check("import", [2]int{imported.ID, imported.Version}, [2]int{77, 5}, err)
	for _, m := range c.Mode(other, "imported") {
		check("mode", m.Mode, sr.ModeImport, m.Err)
	}
	for _, m := range c.ResetMode(other, "imported") {
		check("reset mode", m.Mode, sr.ModeImport, m.Err)
	}
	contexts, err := c.Contexts(ctx)
	check("contexts", contexts, []string{".", ".other"}, err)
	names, err := c.Subjects(other)
	check("subjects of a context", names, []string{":.other:imported"}, err)
	for _, how := range []sr.DeleteHow{sr.SoftDelete, sr.HardDelete} {
		deleted, err := c.DeleteSubject(other, "imported", how)
		check("delete", deleted, []int{5}, err)
	}
	if err := c.DeleteContext(ctx, ".other"); err != nil {
		t.Error(err)
	}
	contexts, err = c.Contexts(ctx)
	check("contexts", contexts, []string{"."}, err)
}
