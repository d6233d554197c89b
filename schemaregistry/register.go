package schemaregistry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// request is the body of a registration, a lookup and a compatibility check.
type request struct {
	Schema     string      `json:"schema"`
	Type       string      `json:"schemaType"`
	References []reference `json:"references"`
	ID         *int        `json:"id"`
	Version    *int        `json:"version"`
}

// imports reports whether the schema brings an id along.
func (q request) imports() bool { return q.ID != nil && *q.ID >= 0 }

// candidate is a schema that was sent, parsed.
type candidate struct {
	text       string
	references []reference
	schema     *avro.Schema
	hash       hash
}

// parse reads the schema of a request: strictly if it is to be registered, else as if it were registered already.
func (s *state) parse(q request, normalize, strict bool) (*candidate, error) {
	switch {
	case q.Schema == "":
		return nil, invalidSchema(errors.New("empty schema"))
	case q.Type != "" && q.Type != "AVRO":
		return nil, invalidSchema(fmt.Errorf("schemas of type %s are not supported, only AVRO", q.Type))
	}
	c := &candidate{references: s.pinned(q.References)}
	types, err := s.types(c.references, !strict, maxReferences)
	if err == nil {
		c.schema, err = avro.Parser{Types: types, Stored: !strict}.Parse(q.Schema)
	}
	if err != nil {
		return nil, invalidSchema(err)
	}
	if normalize {
		c.schema = c.schema.Normal()
	}
	c.text = c.schema.StringUsing(types)
	c.hash = hashOf(c.text, c.references)
	return c, nil
}

// match returns the version that has the schema: the very same text, or else the newest of the same meaning. A schema
// that is sent with everything inside finds one that was registered with references.
func (s *state) match(c *candidate, versions []*version) *version {
	if v := exact(versions, c.hash); v != nil {
		return v
	}
	for _, v := range slices.Backward(versions) {
		if len(c.references) > 0 && !slices.Equal(c.references, v.schema.referenceList()) {
			continue
		}
		if other, err := s.avro(v.schema); err == nil && avro.Equal(other, c.schema) {
			return v
		}
	}
	return nil
}

func exact(versions []*version, h hash) *version {
	for _, v := range versions {
		if v.schema.hash == h {
			return v
		}
	}
	return nil
}

// lookup returns the version of the subject that has the schema.
func (r *Registry) lookup(name string, q request, normalize, deleted bool) (*version, error) {
	if err := checkSubject(name); err != nil {
		return nil, err
	}
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	versions := st.subjects[name].live(deleted)
	if len(versions) == 0 {
		return nil, subjectNotFound(name)
	}
	c, err := st.parse(q, normalize || st.normalize(name), false)
	if err != nil {
		return nil, err
	}
	if v := st.match(c, versions); v != nil {
		return v, nil
	}
	return nil, schemaNotFound()
}

// register returns the version that has the schema, adding it if there is none.
func (r *Registry) register(ctx context.Context, name string, q request, normalize bool) (*version, error) {
	if err := checkSubject(name); err != nil {
		return nil, err
	}
	// Most registrations are of what is there already, and need no log and no waiting.
	if v, err := r.registered(name, q, normalize); v != nil || err != nil {
		return v, err
	}
	p := &registration{r: r, subject: name, request: q, normalize: normalize}
	if err := r.change(ctx, "registering a schema under "+name, p.decide, p.settled); err != nil {
		return nil, err
	}
	return p.result, nil
}

// registered returns the live version that has the very text, nil if there is none or the mode wants it looked at.
func (r *Registry) registered(name string, q request, normalize bool) (*version, error) {
	r.store.mu.RLock()
	defer r.store.mu.RUnlock()
	st := r.store.state
	if st.mode(name) != modeReadWrite || q.imports() || q.Version != nil {
		return nil, nil
	}
	c, err := st.parse(q, normalize || st.normalize(name), false)
	if err != nil {
		return nil, err
	}
	return exact(st.subjects[name].live(false), c.hash), nil
}

// registration is one schema on its way into the topic.
type registration struct {
	r         *Registry
	subject   string
	request   request
	normalize bool

	candidate  *candidate
	number, id int
	result     *version
}

// decide returns the records that add the schema, or sets the result if it is there.
func (p *registration) decide(st *state) ([]*kgo.Record, error) {
	importing := st.mode(p.subject) == modeImport
	if err := p.permitted(st); err != nil {
		return nil, err
	}
	var err error // what is imported was checked where it comes from
	if p.candidate, err = st.parse(p.request, p.normalize || st.normalize(p.subject), !importing); err != nil {
		return nil, err
	}
	sub := st.subjects[p.subject]
	live := sub.live(false)
	p.number = 1
	if n := len(sub.all()); n > 0 {
		p.number = sub.versions[n-1].number + 1
	}
	if importing {
		return p.imported(st)
	}
	among := live
	if v := p.request.Version; v != nil && *v == -1 && len(live) > 0 {
		among = live[len(live)-1:] // an older version may come again as the newest
	}
	if p.result = st.match(p.candidate, among); p.result != nil {
		return nil, nil
	}
	if v := p.request.Version; v != nil && *v > 0 && *v != p.number {
		return nil, invalidSchema(fmt.Errorf("version is not one more than previous version: expected %d, got %d", p.number, *v))
	}
	if err := p.r.incompatible(st, p.subject, p.candidate.schema, live); err != nil {
		return nil, err
	}
	p.id = st.maxID + 1
	if known := st.byHash[p.candidate.hash]; known != nil {
		p.id = known.id
	}
	if p.id > math.MaxInt32 {
		return nil, storeError("giving an id", errors.New("there are no more"))
	}
	return append(p.records(), p.superseded(sub)...), nil
}

func (p *registration) permitted(st *state) error {
	switch mode := st.mode(p.subject); {
	case mode == modeReadOnly || mode == modeReadOnlyOverride:
		return notPermitted("Subject %s is in read-only mode", p.subject)
	case mode == modeImport && !p.request.imports():
		return notPermitted("Subject %s is in import mode, and the schema has no id", p.subject)
	case mode != modeImport && p.request.imports():
		return notPermitted("Subject %s is not in import mode", p.subject)
	}
	return nil
}

// imported decides on a schema that brings its id, and perhaps its version: nothing is checked but that it does not
// contradict what is there.
func (p *registration) imported(st *state) ([]*kgo.Record, error) {
	p.id = *p.request.ID
	if v := p.request.Version; v != nil && *v > 0 {
		p.number = *v
	}
	if known := st.byID[p.id]; known != nil && known.hash != p.candidate.hash {
		return nil, notPermitted("Overwrite new schema with id %d is not permitted.", p.id)
	}
	if there := st.subjects[p.subject].find(p.number); there != nil {
		if there.schema.id != p.id {
			return nil, notPermitted("Overwrite version %d of subject %s is not permitted.", p.number, p.subject)
		}
		if !there.deleted {
			p.result = there
			return nil, nil
		}
	}
	return p.records(), nil
}

func (p *registration) records() []*kgo.Record {
	value := schemaValue{Subject: p.subject, Version: p.number, ID: p.id, MD5: p.candidate.hash[:], Schema: p.candidate.text}
	if len(p.candidate.references) > 0 {
		value.References = marshal(p.candidate.references)
	}
	return []*kgo.Record{{Key: keyOfSchema(p.subject, p.number), Value: marshal(value)}}
}

// superseded returns the records that remove soft-deleted versions of the same schema.
func (p *registration) superseded(sub *subject) []*kgo.Record {
	var records []*kgo.Record
	for _, v := range sub.all() {
		if v.deleted && v.schema.hash == p.candidate.hash {
			records = append(records, &kgo.Record{Key: v.key})
		}
	}
	return records
}

// settled looks whether the schema is where it was to be. If another node has put its own there at the same moment,
// our record is the newer one, which compaction would keep: it must be overwritten.
func (p *registration) settled(st *state) (mend []*kgo.Record, ok bool) {
	if p.result != nil {
		return nil, true
	}
	v := st.subjects[p.subject].find(p.number)
	switch {
	case v == nil: // the id went to another schema
		return []*kgo.Record{{Key: keyOfSchema(p.subject, p.number)}}, false
	case v.schema.hash != p.candidate.hash || v.schema.id != p.id:
		return []*kgo.Record{recordOf(p.subject, v, v.deleted)}, false
	}
	p.result = v
	return nil, true
}

// recordOf returns the record of a version that is there, soft-deleted or not.
func recordOf(name string, v *version, deleted bool) *kgo.Record {
	s := v.schema
	value := schemaValue{Subject: name, Version: v.number, ID: s.id, MD5: s.hash[:], References: s.references,
		Metadata: s.metadata, RuleSet: s.ruleSet, Schema: s.text, Deleted: deleted}
	if s.kind != "AVRO" {
		value.Type = s.kind
	}
	return &kgo.Record{Key: v.key, Value: marshal(value)}
}

// incompatible says why the schema may not follow the versions, which are ascending.
func (r *Registry) incompatible(st *state, name string, s *avro.Schema, versions []*version) error {
	level := st.level(name, r.opts.Level)
	messages := st.explain(level, s, versions)
	if len(messages) == 0 {
		return nil
	}
	return &Error{Status: 409, Code: r.opts.IncompatibleCode, Message: fmt.Sprintf(
		`Schema being registered is incompatible with an earlier schema for subject "%s", details: [%s]`, name, strings.Join(messages, ", "))}
}

// explain returns why the schema may not follow the versions, in Confluent's words, with the level at the end. What
// cannot be compared is not compatible.
func (s *state) explain(level avro.Level, next *avro.Schema, versions []*version) []string {
	if level == avro.None {
		return nil
	}
	if len(versions) > 1 && !strings.HasSuffix(string(level), "_TRANSITIVE") {
		versions = versions[len(versions)-1:]
	}
	for _, v := range slices.Backward(versions) {
		old, err := s.avro(v.schema)
		if err != nil {
			why := "Incompatible because of different schema type"
			if v.schema.kind == "AVRO" {
				why = fmt.Sprintf("Version %d cannot be compared: %v", v.number, err)
			}
			return withLevel([]string{why}, level)
		}
		if messages := level.Compatible(next, []avro.Version{{Number: v.number, Text: v.schema.text, Schema: old}}); len(messages) > 0 {
			return withLevel(messages, level)
		}
	}
	return nil
}

func withLevel(messages []string, level avro.Level) []string {
	return append(messages, fmt.Sprintf("{validateFields: 'false', compatibility: '%s'}", level))
}

func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}
