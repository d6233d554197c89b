package schemaregistry

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unique"
)

// state is what the records of the topic add up to. Nothing but apply changes it, so every node that has read the
// same records has the same state. Names are qualified and in their shortest spelling.
type state struct {
	subjects map[string]*subject // those with only soft-deleted versions, too
	contexts map[string]*space
	configs  map[string]configValue // of subjects and contexts; "": the default context
	modes    map[string]string      // likewise
	maxIDs   map[string]int         // the highest id ever given, by context
	oldKeys  map[string][]byte      // of settings whose key is spelled otherwise than ours, by our spelling
	writer   peer                   // the node that claimed the topic last

	languages map[string]parse
	documents *documents
}

// space is a context: what has its own ids.
type space struct {
	byID   map[int]*schema
	byHash map[hash]*schema
	key    []byte // of its record; nil: it has none
}

func newState() *state {
	return &state{subjects: map[string]*subject{}, contexts: map[string]*space{}, configs: map[string]configValue{},
		modes: map[string]string{}, maxIDs: map[string]int{}, oldKeys: map[string][]byte{}, languages: languages(), documents: newDocuments()}
}

// in returns the context of that name; one without schemas if there is none.
func (s *state) in(name string) *space {
	if c := s.contexts[name]; c != nil {
		return c
	}
	return &space{}
}

// make returns the context of that name, which is there from now on.
func (s *state) make(name string) *space {
	c := s.contexts[name]
	if c == nil {
		c = &space{byID: map[int]*schema{}, byHash: map[hash]*schema{}}
		s.contexts[name] = c
	}
	return c
}

// gave takes note of an id that is not to be given again.
func (s *state) gave(context string, id int) { s.maxIDs[context] = max(s.maxIDs[context], id) }

// contextNames returns the contexts, the default one first.
func (s *state) contextNames() []string {
	names := []string{defaultContext}
	for _, name := range slices.Sorted(maps.Keys(s.contexts)) {
		if name != defaultContext {
			names = append(names, name)
		}
	}
	return names
}

// hash identifies a schema: MD5 of its text, references, metadata and rules. Confluent prints it as the schema's guid.
type hash [md5.Size]byte

func (h hash) String() string {
	b := hex.AppendEncode(make([]byte, 0, 36), h[:4])
	for _, part := range [...][]byte{h[4:6], h[6:8], h[8:10], h[10:]} {
		b = hex.AppendEncode(append(b, '-'), part)
	}
	return string(b)
}

// reference is the use of a schema that is registered elsewhere.
type reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

func hashOf(text string, refs []reference, meta *metadata, rules *ruleSet) hash {
	h := md5.New()
	h.Write([]byte(text))
	for _, r := range refs {
		h.Write([]byte(r.Name))
		h.Write([]byte(r.Subject))
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(r.Version)))
	}
	meta.hash(h)
	rules.hash(h)
	return hash(h.Sum(nil))
}

// schema is one text under one id of a context, shared by all versions that have it. It must not be changed, but for
// its uses.
type schema struct {
	id         int
	hash       hash
	kind       string
	text       string
	references []reference
	metadata   *metadata
	ruleSet    *ruleSet
	context    string
	uses       int // versions, soft-deleted ones too
}

// subject holds its versions. The list is replaced or appended to, and what is in it never changed, so it may be read
// without the lock once it has been got hold of.
type subject struct {
	versions []*version // ascending
}

// version must not be changed.
type version struct {
	number  int
	schema  *schema
	deleted bool
	time    int64  // milliseconds since the epoch
	oldKey  []byte // its key in the topic, if that is not what keyOfSchema returns
}

// key returns the key of a version of the subject as it is in the topic.
func (v *version) key(subject string) []byte {
	if v.oldKey != nil {
		return v.oldKey
	}
	return keyOfSchema(subject, v.number)
}

// live returns the versions that are not soft-deleted, or all.
func (s *subject) live(deletedToo bool) []*version {
	all := s.all()
	if deletedToo || !slices.ContainsFunc(all, func(v *version) bool { return v.deleted }) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(v *version) bool { return v.deleted })
}

func (s *subject) all() []*version {
	if s == nil {
		return nil
	}
	return slices.Clip(s.versions)
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
		err = applySetting(s.configs, k, value)
		s.spelled(k, key)
		return err
	case modeKey:
		return s.applyMode(k, key, value)
	case deleteSubjectKey:
		return s.applyDelete(k, value)
	case clearSubjectKey:
		s.applyClear(k.subject())
	case contextKey:
		s.applyContext(k.Context, key, value)
	case noopKey:
	}
	return nil // Confluent skips kinds that it does not know, and so do we
}

func (s *state) applyMode(k recordKey, key, value []byte) error {
	values := map[string]modeValue{}
	if err := applySetting(values, k, value); err != nil {
		return err
	}
	s.spelled(k, key)
	if v, ok := values[k.subject()]; ok && v.Mode != "" {
		s.modes[k.subject()] = v.Mode
	} else {
		delete(s.modes, k.subject())
	}
	return nil
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

// spelled remembers the bytes of a setting's key if they are not ours.
func (s *state) spelled(k recordKey, key []byte) {
	if ours := keyOf(k.Type, k.subject()); !bytes.Equal(ours, key) {
		s.oldKeys[string(ours)] = key
	}
}

// settingKey returns the key under which the topic has a setting, or gets it.
func (s *state) settingKey(kind, name string) []byte {
	ours := keyOf(kind, name)
	if old := s.oldKeys[string(ours)]; old != nil {
		return old
	}
	return ours
}

func (s *state) applyDelete(k recordKey, value []byte) error {
	if value == nil {
		return nil
	}
	var v deleteValue
	if err := json.Unmarshal(value, &v); err != nil {
		return fmt.Errorf("value of DELETE_SUBJECT %s: %w", k.subject(), err)
	}
	for _, of := range s.subjects[k.subject()].all() {
		if of.number <= v.Version && !of.deleted {
			c := *of
			c.deleted = true
			s.put(k.subject(), &c)
		}
	}
	return nil
}

func (s *state) applyClear(scope string) {
	for _, name := range within(scope, s.subjects) {
		for _, v := range s.subjects[name].all() {
			if v.deleted {
				s.remove(name, v.number)
			}
		}
	}
}

func (s *state) applyContext(name string, key, value []byte) {
	if name == "" {
		return
	}
	if value != nil {
		s.make(name).key = key
	} else if c := s.contexts[name]; c != nil {
		c.key = nil
		if len(c.byID) == 0 {
			delete(s.contexts, name)
		}
	}
}

func (s *state) applySchema(k recordKey, key, value []byte, time int64) error {
	name := k.subject()
	if value == nil {
		s.remove(name, k.Version)
		return nil
	}
	var v schemaValue
	if err := json.Unmarshal(value, &v); err != nil {
		return fmt.Errorf("value of %s: %w", key, err)
	}
	h := hashOf(v.Schema, v.References, v.Metadata, v.RuleSet)
	in := contextOf(name)
	if known := s.in(in).byID[v.ID]; known != nil && known.hash != h {
		return fmt.Errorf("%s: the id %d belongs to another schema; the record does not count", key, v.ID)
	}
	added := &version{number: k.Version, deleted: v.Deleted, time: time}
	if !bytes.Equal(key, keyOfSchema(name, k.Version)) {
		added.oldKey = key
	}
	if old := s.subjects[name].find(k.Version); old != nil {
		if old.schema.id != v.ID {
			return fmt.Errorf("%s: the version has the id %d already; the record with %d does not count", key, old.schema.id, v.ID)
		}
		added.schema = old.schema
		s.put(name, added)
		return nil
	}
	added.schema = s.schemaOf(in, v, h)
	added.schema.uses++
	s.put(name, added)
	return nil
}

// schemaOf returns the schema of a record, which is in the context from now on.
func (s *state) schemaOf(in string, v schemaValue, h hash) *schema {
	c := s.make(in)
	if known := c.byID[v.ID]; known != nil {
		return known
	}
	of := &schema{id: v.ID, hash: h, kind: unique.Make(kindOf(v.Type)).Value(), text: unique.Make(v.Schema).Value(),
		references: v.References, metadata: v.Metadata, ruleSet: v.RuleSet, context: in}
	c.byID[v.ID] = of
	if c.byHash[h] == nil {
		c.byHash[h] = of
	}
	s.gave(in, v.ID)
	return of
}

// put adds a version, or replaces the one of its number.
func (s *state) put(name string, v *version) {
	sub := s.subjects[name]
	if sub == nil {
		sub = &subject{}
		s.subjects[name] = sub
	}
	i, there := sub.search(v.number)
	switch {
	case there:
		list := slices.Clone(sub.versions)
		list[i] = v
		sub.versions = list
	case i == len(sub.versions):
		sub.versions = append(sub.versions, v) // behind what others hold
	default:
		sub.versions = slices.Insert(slices.Clone(sub.versions), i, v)
	}
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
	c := s.in(v.schema.context)
	delete(c.byID, v.schema.id)
	if c.byHash[v.schema.hash] == v.schema {
		delete(c.byHash, v.schema.hash)
	}
}
