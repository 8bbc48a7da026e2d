// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

// Package downstream is a registry middleware that makes a Docker registry a content cache of DTR: blobs that are not
// stored yet are fetched from an upstream registry or cache, manifests are left to DTR, and nothing can be pushed.
//
// DTR redirects a client's request for a blob to the cache with a signed query string. On a miss that query string is
// handed upstream unchanged; on a hit nothing is asked. A blob's digest is verified before it is served or kept.
//
// The vendor's documents contradict each other on what option blobttl counts from. By default a blob is removed a fixed
// time after it was stored; with CONTENT_CACHE_BLOBTTL=sliding in the environment, that long after it was last pulled.
// Who may have what is stored, and who judges signatures, no document says: see Positions.
package downstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/distribution"
	dcontext "github.com/docker/distribution/context"
	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
	storagedriver "github.com/docker/distribution/registry/storage/driver"
	"github.com/opencontainers/go-digest"
)

// Name is the middleware's name in the configuration.
const Name = "downstream"

// TTLVariable is the environment's variable that says what option blobttl counts from.
const TTLVariable = "CONTENT_CACHE_BLOBTTL"

// Surroundings are what the middleware has to know beside its own options.
type Surroundings struct {
	Driver        storagedriver.StorageDriver
	DeleteEnabled bool   // storage.delete.enabled of the configuration
	TTL           string // the value of TTLVariable
	Positions     Positions
}

// New wraps the registry's namespace. Expired blobs are removed until ctx ends.
func New(ctx context.Context, inner distribution.Namespace, around Surroundings, raw map[string]interface{}) (distribution.Namespace, error) {
	options, err := ParseOptions(raw)
	if err != nil {
		return nil, err
	}
	sliding, err := parseSliding(around.TTL)
	if err != nil {
		return nil, err
	}
	if options.BlobTTL > 0 && !around.DeleteEnabled {
		return nil, errors.New(`option "blobttl" needs storage.delete.enabled: true`)
	}
	remover, ok := inner.(distribution.RepositoryRemover)
	if !ok {
		return nil, errors.New("the registry cannot remove repositories")
	}
	cache := &cache{
		store:     &store{inner: inner, driver: around.Driver, ttl: options.BlobTTL, sliding: sliding, now: time.Now},
		upstreams: newUpstreams(options.Upstreams, options.Roots),
		positions: around.Positions,
	}
	if options.BlobTTL > 0 {
		go cache.sweepForEver(ctx)
	}
	dcontext.GetLogger(ctx).Infof("content cache of %v, blobs kept for %s", options.Upstreams, ttlText(options.BlobTTL, sliding))
	return &namespace{Namespace: inner, RepositoryRemover: remover, cache: cache}, nil
}

func ttlText(ttl time.Duration, sliding bool) string {
	switch {
	case ttl == 0:
		return "ever"
	case sliding:
		return ttl.String() + " after each pull"
	}
	return ttl.String()
}

// namespace provides a blob before it lets the registry's own handlers look for it. That is done here, and not in
// ServeBlob, because it is the only place where a middleware can choose the status of the registry's error answer.
type namespace struct {
	distribution.Namespace
	distribution.RepositoryRemover
	cache *cache
}

func (n *namespace) Repository(ctx context.Context, name reference.Named) (distribution.Repository, error) {
	local, err := n.Namespace.Repository(ctx, name)
	if err != nil {
		return nil, err
	}
	blob, asked := wantedBlob(ctx, name)
	if !asked {
		return &repository{Repository: local}, nil
	}
	outcome := &outcome{blob: blob, started: time.Now()}
	if err = n.cache.admit(ctx, blob); err == nil {
		outcome.hit, outcome.upstream, err = n.cache.provide(ctx, blob)
	}
	if err != nil {
		answer := apiError(blob.digest, err)
		outcome.logFailure(ctx, answer, err)
		return nil, answer
	}
	return &repository{Repository: local, outcome: outcome}, nil
}

// wantedBlob tells which blob the context's request wants to read, if any: only a blob's route has a digest.
func wantedBlob(ctx context.Context, name reference.Named) (wanted, bool) {
	request, err := dcontext.GetRequest(ctx)
	if err != nil || (request.Method != http.MethodGet && request.Method != http.MethodHead) {
		return wanted{}, false
	}
	dgst, err := digest.Parse(dcontext.GetStringValue(ctx, "vars.digest"))
	if err != nil {
		return wanted{}, false
	}
	return wanted{repository: name, digest: dgst, query: request.URL.RawQuery, pulls: request.Method == http.MethodGet}, true
}

// apiError is what a client is told: an upstream's refusal as it is, any other failure as 503.
func apiError(dgst digest.Digest, err error) errcode.Error {
	var refused refusal
	errors.As(err, &refused)
	code := errcode.ErrorCodeUnavailable
	switch refused.status {
	case http.StatusUnauthorized:
		code = errcode.ErrorCodeUnauthorized
	case http.StatusForbidden:
		code = errcode.ErrorCodeDenied
	case http.StatusNotFound:
		code = v2.ErrorCodeBlobUnknown
	}
	return code.WithDetail(map[string]digest.Digest{"digest": dgst})
}
