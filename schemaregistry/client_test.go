package schemaregistry

import (
	"errors"
	"testing"

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
