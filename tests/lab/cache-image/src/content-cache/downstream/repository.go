// SPDX-FileCopyrightText: Contributors to the dtr.cache project
// SPDX-License-Identifier: GPL-3.0-or-later

package downstream

import (
	"context"
	"net/http"
	"time"

	"github.com/docker/distribution"
	dcontext "github.com/docker/distribution/context"
	"github.com/docker/distribution/registry/api/errcode"
	"github.com/opencontainers/go-digest"
)

// repository is a stored repository that can only be read. Its outcome is set for a request that reads a blob.
type repository struct {
	distribution.Repository
	outcome *outcome
}

func (r *repository) Manifests(ctx context.Context, options ...distribution.ManifestServiceOption) (distribution.ManifestService, error) {
	stored, err := r.Repository.Manifests(ctx, options...)
	return manifests{stored}, err
}

func (r *repository) Blobs(ctx context.Context) distribution.BlobStore {
	return &blobs{BlobStore: r.Repository.Blobs(ctx), outcome: r.outcome}
}

// manifests refuses what would change it.
type manifests struct{ distribution.ManifestService }

func (manifests) Put(context.Context, distribution.Manifest, ...distribution.ManifestServiceOption) (digest.Digest, error) {
	return "", distribution.ErrUnsupported
}

func (manifests) Delete(context.Context, digest.Digest) error { return distribution.ErrUnsupported }

// blobs refuses what would change it, and logs what it served.
type blobs struct {
	distribution.BlobStore
	outcome *outcome
}

func (b *blobs) Put(context.Context, string, []byte) (distribution.Descriptor, error) {
	return distribution.Descriptor{}, distribution.ErrUnsupported
}

func (b *blobs) Create(context.Context, ...distribution.BlobCreateOption) (distribution.BlobWriter, error) {
	return nil, distribution.ErrUnsupported
}

func (b *blobs) Resume(context.Context, string) (distribution.BlobWriter, error) {
	return nil, distribution.ErrUnsupported
}

func (b *blobs) Delete(context.Context, digest.Digest) error { return distribution.ErrUnsupported }

func (b *blobs) ServeBlob(ctx context.Context, w http.ResponseWriter, r *http.Request, dgst digest.Digest) error {
	err := b.BlobStore.ServeBlob(ctx, w, r, dgst)
	if err == nil && b.outcome != nil {
		b.outcome.logServed(ctx)
	}
	return err
}

// outcome is what became of one request for a blob: one line in the log.
type outcome struct {
	blob     wanted
	started  time.Time
	hit      bool
	upstream string
}

func (o *outcome) logServed(ctx context.Context) {
	fields := o.fields()
	fields["status"] = ctx.Value("http.response.status")
	fields["bytes"] = ctx.Value("http.response.written")
	dcontext.GetLoggerWithFields(ctx, fields).Info("blob served")
}

func (o *outcome) logFailure(ctx context.Context, answer errcode.Error, cause error) {
	fields := o.fields()
	fields["status"] = answer.Code.Descriptor().HTTPStatusCode
	fields["bytes"] = 0
	fields["error"] = cause
	dcontext.GetLoggerWithFields(ctx, fields).Error("blob not served")
}

func (o *outcome) fields() map[interface{}]interface{} {
	found := "miss"
	if o.hit {
		found = "hit"
	}
	fields := map[interface{}]interface{}{
		"digest":     o.blob.digest,
		"repository": o.blob.repository.Name(),
		"cache":      found,
		"seconds":    time.Since(o.started).Seconds(),
	}
	if o.upstream != "" {
		fields["upstream"] = o.upstream
	}
	return fields
}
