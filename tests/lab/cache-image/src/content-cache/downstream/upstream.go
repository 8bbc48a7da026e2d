// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	dcontext "github.com/docker/distribution/context"
	"github.com/docker/distribution/version"
)

const (
	connectTimeout = 10 * time.Second
	// An upstream that is a cache itself answers only when it has the whole blob, so its header may take long.
	headerTimeout = 10 * time.Minute
	// stallTimeout bounds the time between two pieces of a blob, not the time of the whole.
	stallTimeout = time.Minute
	maxRedirects = 5
)

// refusal is an upstream's answer that this very request may not have the blob, or that there is no such blob.
type refusal struct{ status int }

func (r refusal) Error() string {
	return fmt.Sprintf("answered %d %s", r.status, http.StatusText(r.status))
}

// upstreams is the next hop: the hosts are taken in turn.
type upstreams struct {
	hosts  []*url.URL
	client *http.Client
	asked  atomic.Uint64
}

func newUpstreams(hosts []*url.URL, roots *x509.CertPool) *upstreams {
	return &upstreams{hosts: hosts, client: &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:   connectTimeout,
			TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:     true,
			DisableCompression:    true,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       time.Minute,
			ResponseHeaderTimeout: headerTimeout,
		},
	}}
}

// fetch asks one upstream after the other for the path (with the client's query string, which may sign it) until keep has
// taken an answer's body, and returns that upstream. When none gave the blob, a refusal is preferred over other errors.
// A storageError of keep ends it: another upstream would not help.
func (u *upstreams) fetch(ctx context.Context, path, query string, keep func(io.Reader) error) (string, error) {
	var failure error
	for _, host := range u.inTurn() {
		err := u.fetchFrom(ctx, host, path, query, keep)
		var full storageError
		if err == nil || errors.As(err, &full) {
			return host.String(), err
		}
		dcontext.GetLoggerWithFields(ctx, map[interface{}]interface{}{"upstream": host.String(), "error": err}).
			Warn("upstream failed")
		var refused refusal
		if failure == nil || errors.As(err, &refused) {
			failure = fmt.Errorf("%s: %w", host, err)
		}
	}
	return "", failure
}

// inTurn returns all hosts, beginning with another one each time.
func (u *upstreams) inTurn() []*url.URL {
	first := int((u.asked.Add(1) - 1) % uint64(len(u.hosts)))
	return append(append([]*url.URL{}, u.hosts[first:]...), u.hosts[:first]...)
}

func (u *upstreams) fetchFrom(ctx context.Context, host *url.URL, path, query string, keep func(io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	address := url.URL{Scheme: host.Scheme, Host: host.Host, Path: path, RawQuery: query}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return withoutAddress(err)
	}
	request.Header.Set("User-Agent", "dtr-content-cache/"+version.Version)
	response, err := u.client.Do(request)
	if err != nil {
		return withoutAddress(err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return keep(newStallReader(ctx, response.Body, cancel))
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return refusal{status: response.StatusCode}
	default:
		return fmt.Errorf("answered %s", response.Status)
	}
}

// checkRedirect bounds redirects and keeps what the first hop protects: no step down to plain HTTP, and no Referer, which
// would hand the signature on to the next host.
func checkRedirect(next *http.Request, earlier []*http.Request) error {
	if len(earlier) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if earlier[0].URL.Scheme == "https" && next.URL.Scheme != "https" {
		return fmt.Errorf("redirected from https to %s", next.URL.Scheme)
	}
	next.Header.Del("Referer")
	return nil
}

var queryString = regexp.MustCompile(`\?[^\s"]*`)

// withoutAddress drops the address that Go's client puts before its errors, and any query string left in the rest: both
// may hold a signature, and errors are logged.
func withoutAddress(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return errors.New(queryString.ReplaceAllLiteralString(err.Error(), ""))
}

// stallReader cancels the request when nothing was read for stallTimeout.
type stallReader struct {
	ctx   context.Context
	body  io.Reader
	timer *time.Timer
}

func newStallReader(ctx context.Context, body io.Reader, cancel context.CancelCauseFunc) *stallReader {
	stalled := func() { cancel(fmt.Errorf("sent nothing for %s", stallTimeout)) }
	return &stallReader{ctx: ctx, body: body, timer: time.AfterFunc(stallTimeout, stalled)}
}

func (r *stallReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if err == nil {
		r.timer.Reset(stallTimeout)
		return n, nil
	}
	r.timer.Stop()
	if cause := context.Cause(r.ctx); cause != nil && err != io.EOF {
		err = cause
	}
	return n, err
}
