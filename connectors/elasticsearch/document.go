package elasticsearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
)

// maxPrinters bounds how many schemas' printers are kept. A topic has a handful.
const maxPrinters = 1000

// maxIDBytes is the longest id that Elasticsearch takes.
const maxIDBytes = 512

// documents turns records into operations. It is used by Put alone.
type documents struct {
	*settings
	printers map[*connectors.Schema]*connectors.JSONPrinter
	schema   *connectors.Schema // of the last printer
	printer  *connectors.JSONPrinter
	id       []byte // scratch
}

func newDocuments(s *settings) documents {
	return documents{settings: s, printers: make(map[*connectors.Schema]*connectors.JSONPrinter)}
}

var (
	// errSkip says that a record is no operation, by the configuration.
	errSkip = errors.New("skipped by behavior.on.null.values")
	// errNullValue is what a null value is with behavior.on.null.values=FAIL.
	errNullValue = errors.New("the value is null, and behavior.on.null.values is FAIL; IGNORE skips such records, DELETE deletes the document")
	// errNoObject is the answer to a value that Elasticsearch would refuse, and the whole request with it.
	errNoObject = errors.New("the value is not an object, and Elasticsearch takes nothing else; transforms=wrap, " +
		"transforms.wrap.type=org.apache.kafka.connect.transforms.HoistField$Value, transforms.wrap.field=NAME makes it a field of one")
)

// document is one operation as append made it, valid until the next call.
type document struct {
	lines    []byte // appended to dst
	id       []byte // empty if Elasticsearch chooses it
	isDelete bool
}

// append appends the operation of a record to dst, in the lines of the bulk API:
//
//	{"index":{"_index":"orders","_id":"7","version":42,"version_type":"external"}}
//	{"id":7,…}
//
// An error is about this record.
func (d *documents) append(dst []byte, to *route, r *connectors.Record, at connectors.TopicPartition) (document, error) {
	isNull, err := nullValue(r.Value)
	if err != nil {
		return document{}, fmt.Errorf("value: %w", err)
	}
	if isNull {
		switch {
		case d.nulls == onFail:
			return document{}, errNullValue
		case d.nulls == onIgnore, to.ignoreKey, r.Key.IsNull():
			return document{}, errSkip // without a key there is nothing to delete by
		}
	}
	id, err := d.documentID(r, at, to.ignoreKey)
	if err != nil {
		return document{}, err
	}
	open, closing := `{"index":{"_index":`, ""
	switch {
	case isNull:
		open = `{"delete":{"_index":`
	case d.upsert:
		open, closing = `{"update":{"_index":`, `,"doc_as_upsert":true}`
	}
	out := append(append(dst, open...), to.quoted...)
	if len(id) > 0 {
		out = append(out, `,"_id":`...)
		out = connectors.AppendJSONString(out, id)
	}
	// A version says which of two writes is the later one, also when a record is delivered again. An update cannot
	// carry one, and then a delete must not either: it would be refused by the versions that updates count up.
	// There, the lanes keep the order.
	if !to.ignoreKey && !d.upsert && len(id) > 0 {
		version, err := d.version(r)
		if err != nil {
			return document{}, err
		}
		out = append(out, `,"version":`...)
		out = strconv.AppendInt(out, version, 10)
		out = append(out, `,"version_type":"external"`...)
	}
	out = append(out, "}}\n"...)
	if isNull {
		return document{lines: out, id: id, isDelete: true}, nil
	}
	if closing != "" {
		out = append(out, `{"doc":`...)
	}
	start := len(out)
	if out, err = d.appendSource(out, r.Value); err != nil {
		return document{}, fmt.Errorf("value: %w", err)
	}
	if source := bytes.TrimLeft(out[start:], " \t\r"); len(source) == 0 || source[0] != '{' {
		return document{}, errNoObject
	}
	return document{lines: append(append(out, closing...), '\n'), id: id}, nil
}

// nullValue reports whether a value is null, with or without a schema.
func nullValue(d connectors.Data) (bool, error) {
	if d.Schema == nil {
		return d.Bytes == nil || string(d.Bytes) == "null", nil
	}
	present, _, err := connectors.ReadPresent(d.Schema, d.Bytes)
	return !present, err
}

// documentID is topic+partition+offset without a key, else the key as text.
func (d *documents) documentID(r *connectors.Record, at connectors.TopicPartition, ignoreKey bool) ([]byte, error) {
	d.id = d.id[:0]
	switch {
	case d.autoIDs:
		return nil, nil
	case ignoreKey:
		d.id = append(append(d.id, at.Topic...), '+')
		d.id = append(strconv.AppendInt(d.id, int64(at.Partition), 10), '+')
		d.id = strconv.AppendInt(d.id, r.Offset, 10)
		return d.id, nil
	}
	var err error
	if d.id, err = appendKey(d.id, r.Key); err != nil {
		return nil, err
	}
	if len(d.id) == 0 {
		return nil, errors.New("the key is the document's id, and must not be empty")
	}
	if len(d.id) > maxIDBytes {
		return nil, fmt.Errorf("the key is the document's id, and Elasticsearch takes %d bytes at most; it has %d", maxIDBytes, len(d.id))
	}
	return d.id, nil
}

// appendKey appends a key as text. Only integers and strings can be ids.
func appendKey(dst []byte, key connectors.Data) ([]byte, error) {
	isNull, err := nullValue(key)
	if err != nil {
		return dst, fmt.Errorf("key: %w", err)
	}
	if isNull {
		return dst, errors.New("the key is the document's id, and must not be null; set key.ignore=true for ids of topic, partition and offset")
	}
	if key.Schema == nil {
		return appendSchemalessKey(dst, key.Bytes)
	}
	v, _, err := connectors.ReadValue(key.Schema, key.Bytes)
	if err != nil {
		return dst, fmt.Errorf("key: %w", err)
	}
	switch v.Type {
	case connectors.String:
		return append(dst, v.Raw()...), nil
	case connectors.Int8, connectors.Int16, connectors.Int32, connectors.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	}
	return dst, fmt.Errorf("%s is not supported as the document id; take a field of the key with transforms=id, transforms.id.type=org.apache.kafka.connect.transforms.ExtractField$Key, transforms.id.field=NAME", key.Schema.Type)
}

// appendSchemalessKey takes a JSON string or integer.
func appendSchemalessKey(dst, text []byte) ([]byte, error) {
	if n := len(text); n > 1 && text[0] == '"' {
		if bytes.IndexByte(text, '\\') < 0 {
			return append(dst, text[1:n-1]...), nil
		}
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return dst, fmt.Errorf("key: %w", err)
		}
		return append(dst, s...), nil
	}
	if _, err := strconv.ParseInt(string(text), 10, 64); err != nil {
		return dst, fmt.Errorf("a key like %.40s is not supported as the document id: it must be a string or an integer", text)
	}
	return append(dst, text...), nil
}

// version is the record's offset, or what the header says.
func (d *documents) version(r *connectors.Record) (int64, error) {
	if d.versionHeader == "" {
		return r.Offset, nil
	}
	for _, h := range r.Headers {
		if h.Key != d.versionHeader {
			continue
		}
		text, err := appendKey(nil, h.Value)
		if err == nil {
			var version int64
			if version, err = strconv.ParseInt(string(text), 10, 64); err == nil && version >= 0 {
				return version, nil
			}
		}
		return 0, fmt.Errorf("header %s is not a version: it must be a number from 0", d.versionHeader)
	}
	return 0, fmt.Errorf("header %s, which external.version.header names, is not there", d.versionHeader)
}

// appendSource appends the document: the value as one line of JSON.
func (d *documents) appendSource(dst []byte, value connectors.Data) ([]byte, error) {
	if value.Schema == nil {
		return appendLine(dst, value.Bytes)
	}
	if value.Schema != d.schema {
		p, err := d.printerOf(value.Schema)
		if err != nil {
			return dst, err
		}
		d.schema, d.printer = value.Schema, p
	}
	dst, _, err := d.printer.Append(dst, value.Bytes)
	return dst, err
}

func (d *documents) printerOf(schema *connectors.Schema) (*connectors.JSONPrinter, error) {
	if p := d.printers[schema]; p != nil {
		return p, nil
	}
	p, err := connectors.NewJSONPrinter(schema, d.json)
	if err != nil {
		return nil, err
	}
	if len(d.printers) >= maxPrinters {
		clear(d.printers)
	}
	d.printers[schema] = p
	return p, nil
}

// appendLine appends JSON text without line breaks, which end an operation. Only text that has some is worked on.
func appendLine(dst, text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '\n') < 0 {
		return append(dst, text...), nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return dst, err
	}
	return append(dst, line.Bytes()...), nil
}
