import { enableCopying } from './copy.mjs';

enableCopying();
