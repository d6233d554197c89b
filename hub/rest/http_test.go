package rest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A page of another host can make a browser send a form or text, and not JSON: what is not JSON by its header is refused.
func TestBodiesAreJSONByTheirHeader(t *testing.T) {
	server := serve(t)
	body := `{"name":"x","config":{"connector.class":"idle"}}`
	for header, want := range map[string]int{"": 415, "text/plain": 415, "application/x-www-form-urlencoded": 415, "application/vnd.x+json": 415,
		"Application/JSON;charset=UTF-8": 201} {
		resp, err := http.DefaultClient.Do(&http.Request{Method: "POST", URL: must(url.Parse(server.URL + "/connectors")),
			Header: http.Header{"Content-Type": {header}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("Content-Type %q: status %d, want %d", header, resp.StatusCode, want)
		}
	}
	// Without a body none is needed. Whether the task runs already is another matter.
	if code, text := ask(t, server, "POST", "/api/v1/connectors/x/snapshot/pause", ""); code != 202 && code != 409 {
		t.Errorf("without a body: %d %s", code, text)
	}
}

func must(u *url.URL, err error) *url.URL {
	if err != nil {
		panic(err)
	}
	return u
}

func TestOptionsSayWhatIsAllowed(t *testing.T) {
	server := serve(t)
	for method, want := range map[string]int{"OPTIONS": 200, "PATCH": 405} {
		req, err := http.NewRequest(method, server.URL+"/connectors/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Allow"); resp.StatusCode != want || got != "DELETE, GET, HEAD, OPTIONS" {
			t.Errorf("%s: %d, %q", method, resp.StatusCode, got)
		}
	}
}
