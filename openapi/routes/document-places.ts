/** Where what is made of a document was read: in its files, or in the entry of the configuration that names it. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { PlaceInFile } from '../../gateway/core/problem.ts';
import type { ApiDocument } from '../document/api-document.ts';
import { Origins, type Locate } from '../document/origins.ts';
import type { Described, DescribedPolicy } from './described-route.ts';

export class DocumentPlaces {
  readonly origins: Origins;
  readonly #file: string;

  constructor(document: Pick<ApiDocument, 'file' | 'locate'>, locateEntry: Locate) {
    this.#file = document.file;
    this.origins = new Origins((owner, key, at) => {
      const place = document.locate(owner, key, at);
      return place.line > 0 ? place : locateEntry(owner, key, at);
    });
  }

  /** Settings that were made, with the place of each part of them. */
  placed(settings: Mapping): DescribedPolicy {
    return { settings, locate: (path, at) => this.origins.locate(settings, path, at) ?? this.#wholeFile() };
  }

  /** All that a document describes, with the places of what is told of it. */
  described(parts: Omit<Described, 'locate' | 'isVerbatim'>): Described {
    return {
      ...parts,
      locate: ({ owner, key, at }) => this.origins.place(owner, key, at) ?? this.#wholeFile(),
      isVerbatim: (part) => this.origins.isVerbatim(part),
    };
  }

  #wholeFile(): PlaceInFile {
    return { file: this.#file, line: 0, column: 0, path: '' };
  }
}
