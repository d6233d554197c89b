package rest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/sluicehub/sluice/configs"
)

func badRequest(format string, a ...any) error {
	return &statusError{http.StatusBadRequest, fmt.Sprintf(format, a...)}
}

// readBody reads the whole body, within its limit. It must say that it is JSON: what a web page can send to another
// host without being asked first (a form, text) must not make a connector.
func readBody(r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.ContentLength != 0 && (err != nil || kind != "application/json") {
		return nil, &statusError{http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type: send the body with the header Content-Type: application/json"}
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, badRequest("The body of the request could not be read: %v", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, badRequest("The body of the request is empty; a JSON object is expected.")
	}
	return text, nil
}

// readJSON reads the body into a value that knows all members it may have.
func readJSON(r *http.Request, into any) error {
	text, err := readBody(r)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return malformed(text, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("The body of the request goes on behind its JSON value.")
	}
	return nil
}

// malformed says where a body is wrong.
func malformed(text []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	at := int64(-1)
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &kind):
		at = kind.Offset
		err = fmt.Errorf("%s cannot be of the type %s", cmp.Or(kind.Field, "it"), kind.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(text))
		err = errors.New("the text ends too early")
	}
	if at < 0 || at > int64(len(text)) {
		return badRequest("The body of the request is not as expected: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	before := text[:at]
	line := 1 + bytes.Count(before, []byte{'\n'})
	column := len(before) - bytes.LastIndexByte(before, '\n') - 1
	return badRequest("The body of the request is not as expected: line %d, column %d: %v", line, max(column, 1), err)
}

// readConfig reads a flat JSON object. Numbers and booleans become their text, as in Connect.
func readConfig(r *http.Request) (map[string]*string, error) {
	text, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return decodeConfig(text)
}

func decodeConfig(text []byte) (map[string]*string, error) {
	config, err := configs.DecodeObject(text)
	if err != nil {
		return nil, badRequest("The configuration is not a flat JSON object: %v", err)
	}
	return config, nil
}

// plain returns a configuration without nulls, which mean nothing but in a PATCH.
func plain(config map[string]*string) (map[string]string, error) {
	out := make(map[string]string, len(config))
	for key, value := range config {
		if value == nil {
			return nil, badRequest("Connector configuration is invalid: the value of %s is null", key)
		}
		out[key] = *value
	}
	return out, nil
}
