// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/distribution/reference"
	dcontext "github.com/docker/distribution/context"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/singleflight"
)

// cache fills the store from the upstreams.
type cache struct {
	store     *store
	upstreams *upstreams
	positions Positions
	// flights holds, by digest, what is being fetched, linked or removed.
	flights singleflight.Group
}

// wanted is what a client asks for: query is its URL's query string as it came, in which the signature is; pulls is
// whether it wants the content, and not only to know of it.
type wanted struct {
	repository reference.Named
	digest     digest.Digest
	query      string
	pulls      bool
}

func (w wanted) path() string {
	return "/v2/" + w.repository.Name() + "/blobs/" + w.digest.String()
}

// provide returns once the blob is in the store: hit tells whether it was there already, upstream where this very call
// fetched it from (empty if another one did). Simultaneous calls for one digest make one upstream request.
func (c *cache) provide(ctx context.Context, blob wanted) (hit bool, upstream string, err error) {
	found, err := c.store.look(ctx, blob.repository, blob.digest)
	hit = found != absent
	if hit && err == nil && blob.pulls {
		if failure := c.renew(ctx, blob.digest); failure != nil {
			// A full disk is no reason not to serve what is on it.
			dcontext.GetLogger(ctx).Warnf("could not note a pull of %s: %v", blob.digest, failure)
		}
	}
	for err == nil && found != ready {
		led := false
		flight := c.flights.DoChan(blob.digest.String(), func() (interface{}, error) {
			led = true
			// A client that goes away must not fail the others that wait for the same blob.
			return c.makeReady(context.WithoutCancel(ctx), blob)
		})
		select {
		case <-ctx.Done():
			return false, "", ctx.Err()
		case result := <-flight:
			if led {
				upstream, _ = result.Val.(string)
				return hit, upstream, result.Err
			}
			// Another client's signature may be refused where this one's is not: only then is it asked for again.
			var refused refusal
			if result.Err != nil && !errors.As(result.Err, &refused) {
				return false, "", result.Err
			}
		}
		found, err = c.store.look(ctx, blob.repository, blob.digest)
	}
	return hit, "", err
}

// renew lets a blob's time begin again where pulls do that. Not while the blob is fetched or removed, which leaves
// nothing to renew.
func (c *cache) renew(ctx context.Context, dgst digest.Digest) error {
	if c.store.ttl == 0 || !c.store.sliding {
		return nil
	}
	_, err, _ := c.flights.Do(dgst.String(), func() (interface{}, error) {
		return nil, c.store.renew(context.WithoutCancel(ctx), dgst)
	})
	return err
}

// makeReady links a blob that is stored for another repository, or fetches one that is not stored, or no longer to be
// served; it returns the upstream that it was fetched from, if any.
func (c *cache) makeReady(ctx context.Context, blob wanted) (string, error) {
	started := time.Now()
	// It may have come while this call waited for its turn.
	found, err := c.store.look(ctx, blob.repository, blob.digest)
	if err != nil || found == ready {
		return "", err
	}
	if found == unlinked {
		return "", c.store.link(ctx, blob.repository, blob.digest)
	}
	// The registry keeps a blob's old file where it finds one, and with it the old age.
	if err := c.store.remove(ctx, blob.digest); err != nil {
		return "", err
	}
	var size int64
	upstream, err := c.upstreams.fetch(ctx, blob.path(), blob.query, func(body io.Reader) (err error) {
		size, err = c.store.keep(ctx, blob.repository, blob.digest, body)
		return err
	})
	if err != nil {
		return "", err
	}
	dcontext.GetLoggerWithFields(ctx, map[interface{}]interface{}{
		"digest":     blob.digest,
		"repository": blob.repository.Name(),
		"upstream":   upstream,
		"bytes":      size,
		"seconds":    time.Since(started).Seconds(),
	}).Info("blob fetched")
	return upstream, nil
}
