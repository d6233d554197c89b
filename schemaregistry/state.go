package schemaregistry

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/sluicehub/sluice/schemaregistry/avro"
)

// state is what the records of the topic add up to. Nothing but apply changes it, so every node that has read the
// same records has the same state.
type state struct {
	subjects map[string]*subject // those with only soft-deleted versions, too
	byID     map[int]*schema
	byHash   map[hash]*schema
	maxID    int
	configs  map[string]configValue // "": global
	modes    map[string]string
}

func newState() *state {
	return &state{subjects: map[string]*subject{}, byID: map[int]*schema{}, byHash: map[hash]*schema{},
		configs: map[string]configValue{}, modes: map[string]string{}}
}

// hash identifies a schema: MD5 of its text and references. Confluent prints it as the schema's guid.
type hash [md5.Size]byte

func (h hash) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:])
}

// reference is the use of a schema that is registered elsewhere.
type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func hashOf(text string, refs []reference) hash {
	h := md5.New()
	h.Write([]byte(text))
	for _, r := range refs {
		h.Write([]byte(r.Name))
		h.Write([]byte(r.Subject))
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(r.Version)))
	}
	return hash(h.Sum(nil))
}

// schema is one text under one id, shared by all versions that have it.
type schema struct {
	id         int
	hash       hash
	kind       string // AVRO, JSON, PROTOBUF
	text       string
	references json.RawMessage
	metadata   json.RawMessage
	ruleSet    json.RawMessage
	uses       int // versions, soft-deleted ones too

	mu     sync.Mutex
	parsed *avro.Schema // nil until it is needed
}

// referenceList returns the references; they were checked when the record was read.
func (s *schema) referenceList() []reference {
	var list []reference
	if len(s.references) > 0 {
		_ = json.Unmarshal(s.references, &list)
	}
	return list
}

// maxReferences is how deep references may go: records of others could make them a circle.
const maxReferences = 32

// avro returns the parsed schema. Texts are parsed when they are needed first: a start over a long history is not the
// time for it.
func (s *state) avro(of *schema) (*avro.Schema, error) { return s.avroWithin(of, maxReferences) }

func (s *state) avroWithin(of *schema, depth int) (*avro.Schema, error) {
	if of.kind != "AVRO" {
		return nil, fmt.Errorf("the schema is of type %s", of.kind)
	}
	if depth == 0 {
		return nil, fmt.Errorf("references go deeper than %d", maxReferences)
	}
	of.mu.Lock()
	parsed := of.parsed
	of.mu.Unlock()
	if parsed != nil {
		return parsed, nil
	}
	types, err := s.types(of.referenceList(), true, depth-1)
	if err != nil {
		return nil, err
	}
	if parsed, err = (avro.Parser{Types: types, Stored: true}).Parse(of.text); err != nil {
		return nil, err
	}
	of.mu.Lock()
	of.parsed = parsed
	of.mu.Unlock()
	return parsed, nil
}

// types returns the schemas that references name. Soft-deleted ones will do for schemas that are stored.
func (s *state) types(refs []reference, stored bool, depth int) ([]*avro.Schema, error) {
	var list []*avro.Schema
	for _, r := range refs {
		v, err := s.find(r.Subject, r.Version, stored)
		if err != nil {
			return nil, fmt.Errorf("no schema reference found for subject %q and version %d", r.Subject, r.Version)
		}
		t, err := s.avroWithin(v.schema, depth)
		if err != nil {
			return nil, fmt.Errorf("reference to version %d of %q: %w", r.Version, r.Subject, err)
		}
		list = append(list, t)
	}
	return list, nil
}

// pinned returns references to the newest version as references to the version that this is now.
func (s *state) pinned(refs []reference) []reference {
	refs = slices.Clone(refs)
	for i, r := range refs {
		if v, err := s.find(r.Subject, r.Version, false); err == nil && r.Version == latest {
			refs[i].Version = v.number
		}
	}
	return refs
}

// subject holds its versions. The list and what is in it is replaced, never changed, so it may be read without the lock
// once it has been got hold of.
type subject struct {
	versions []*version // ascending
}

// version must not be changed.
type version struct {
	number  int
	schema  *schema
	deleted bool
	time    int64  // milliseconds since the epoch
	key     []byte // as it is in the topic: old records spell it differently
}

// live returns the versions that are not soft-deleted, or all.
func (s *subject) live(deletedToo bool) []*version {
	if s == nil || deletedToo {
		return s.all()
	}
	return slices.DeleteFunc(slices.Clone(s.versions), func(v *version) bool { return v.deleted })
}

func (s *subject) all() []*version {
	if s == nil {
		return nil
	}
	return s.versions
}

func (s *subject) find(number int) *version {
	if s == nil {
		return nil
	}
	if i, ok := s.search(number); ok {
		return s.versions[i]
	}
	return nil
}

func (s *subject) search(number int) (int, bool) {
	return slices.BinarySearchFunc(s.versions, number, func(v *version, n int) int { return cmp.Compare(v.number, n) })
}

// apply takes in one record. An error says that the record makes no sense; it has changed nothing then.
func (s *state) apply(key, value []byte, time int64) error {
	k, err := parseKey(key)
	if err != nil {
		return err
	}
	if bytes.Equal(value, []byte("null")) {
		value = nil
	}
	switch k.Type {
	case schemaKey:
		return s.applySchema(k, key, value, time)
	case configKey:
		return applySetting(s.configs, k, value)
	case modeKey:
		values := map[string]modeValue{}
		if err := applySetting(values, k, value); err != nil {
			return err
		}
		if v, ok := values[k.subject()]; ok {
			s.modes[k.subject()] = v.Mode
		} else {
			delete(s.modes, k.subject())
		}
	case deleteSubjectKey:
		var v deleteValue
		if value == nil {
			return nil
		}
		if err := json.Unmarshal(value, &v); err != nil {
			return fmt.Errorf("value of %s: %w", key, err)
		}
		for _, of := range s.subjects[k.subject()].all() {
			if of.number <= v.Version && !of.deleted {
				c := *of
				c.deleted = true
				s.put(k.subject(), &c)
			}
		}
	case clearSubjectKey:
		for _, v := range s.subjects[k.subject()].all() {
			s.remove(k.subject(), v.number)
		}
	case noopKey:
	}
	return nil // Confluent skips kinds that it does not know, and so do we
}

func applySetting[V any](values map[string]V, k recordKey, value []byte) error {
	if value == nil {
		delete(values, k.subject())
		return nil
	}
	var v V
	if err := json.Unmarshal(value, &v); err != nil {
		return fmt.Errorf("value of %s %s: %w", k.Type, k.subject(), err)
	}
	values[k.subject()] = v
	return nil
}

func (s *state) applySchema(k recordKey, key, value []byte, time int64) error {
	if value == nil {
		s.remove(k.subject(), k.Version)
		return nil
	}
	var v schemaValue
	if err := json.Unmarshal(value, &v); err != nil {
		return fmt.Errorf("value of %s: %w", key, err)
	}
	if v.Type == "" {
		v.Type = "AVRO"
	}
	var refs []reference
	if len(v.References) > 0 {
		if err := json.Unmarshal(v.References, &refs); err != nil {
			return fmt.Errorf("references of %s: %w", key, err)
		}
	}
	h := hashOf(v.Schema, refs)
	if known := s.byID[v.ID]; known != nil && known.hash != h {
		return fmt.Errorf("%s: the id %d belongs to another schema; the record does not count", key, v.ID)
	}
	if old := s.subjects[k.subject()].find(k.Version); old != nil {
		if old.schema.id != v.ID {
			return fmt.Errorf("%s: the version has the id %d already; the record with %d does not count", key, old.schema.id, v.ID)
		}
		s.put(k.subject(), &version{number: k.Version, schema: old.schema, deleted: v.Deleted, time: time, key: key})
		return nil
	}
	of := s.byID[v.ID]
	if of == nil {
		of = &schema{id: v.ID, hash: h, kind: v.Type, text: v.Schema, references: v.References, metadata: v.Metadata, ruleSet: v.RuleSet}
		s.byID[v.ID] = of
		if s.byHash[h] == nil {
			s.byHash[h] = of
		}
		s.maxID = max(s.maxID, v.ID)
	}
	of.uses++
	s.put(k.subject(), &version{number: k.Version, schema: of, deleted: v.Deleted, time: time, key: key})
	return nil
}

// put adds a version, or replaces the one of its number.
func (s *state) put(name string, v *version) {
	sub := s.subjects[name]
	if sub == nil {
		sub = &subject{}
		s.subjects[name] = sub
	}
	i, there := sub.search(v.number)
	list := slices.Clone(sub.versions)
	if there {
		list[i] = v
	} else {
		list = slices.Insert(list, i, v)
	}
	sub.versions = list
}

// remove forgets a version, and its schema if it was the last to use it.
func (s *state) remove(name string, number int) {
	sub := s.subjects[name]
	v := sub.find(number)
	if v == nil {
		return
	}
	sub.versions = slices.DeleteFunc(slices.Clone(sub.versions), func(o *version) bool { return o == v })
	if len(sub.versions) == 0 {
		delete(s.subjects, name)
	}
	if v.schema.uses--; v.schema.uses > 0 {
		return
	}
	delete(s.byID, v.schema.id)
	if s.byHash[v.schema.hash] == v.schema {
		delete(s.byHash, v.schema.hash)
	}
}

// level returns the compatibility level that holds for a subject.
func (s *state) level(name string, standard avro.Level) avro.Level {
	for _, c := range []configValue{s.configs[name], s.configs[""]} {
		if l, err := avro.ParseLevel(c.Level); err == nil {
			return l
		}
	}
	return standard
}

// normalize reports whether schemas of a subject are normalized without being asked.
func (s *state) normalize(name string) bool {
	for _, c := range []configValue{s.configs[name], s.configs[""]} {
		if c.Normalize != nil {
			return *c.Normalize
		}
	}
	return false
}

// mode returns the mode that holds for a subject.
func (s *state) mode(name string) string {
	if m := s.modes[name]; m != "" {
		return m
	}
	if m := s.modes[""]; m != "" {
		return m
	}
	return modeReadWrite
}
